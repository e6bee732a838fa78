import { type Draft, type DraftSession, type DraftTunnel, type Entry, holdsSecrets, type Value } from "./draft.ts";
import { type Findings, type Leftover, leftoverText } from "./findings.ts";

/** The text of a site.toml. `origin` completes "made from …". */
export function writeSite(draft: Draft, findings: Findings, origin: string): string {
  const head = [
    `Made by l2tpv3-lcc import from ${origin}.`,
    "Look it through, then: l2tpv3-lcc check --conf site.toml",
    ...(holdsSecrets(draft) ? ["It holds secrets: chmod 600, so that its owner alone can read it."] : []),
    ...findings.requests.map((request) => `TO DO: ${request}`),
  ];
  const parts = [
    head.map(comment),
    ["[lcce]", ...writeEntries([{ key: "listen", value: draft.listen, note: "", missing: false }])],
    ...draft.tunnels.flatMap(writeTunnel),
    writeLeftovers("Not taken over:", findings.leftovers),
    writeLeftovers("Not needed here:", findings.dispensable),
  ];
  return `${parts
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n")}\n`;
}

function writeTunnel({ name, notes, entries, sessions }: DraftTunnel): readonly (readonly string[])[] {
  return [
    [...notes.map(comment), `[tunnel.${name}]`, ...writeEntries(entries)],
    ...sessions.map((session) => writeSession(name, session)),
  ];
}

function writeSession(tunnel: string, { name, notes, entries }: DraftSession): readonly string[] {
  return [...notes.map(comment), `[tunnel.${tunnel}.session.${name}]`, ...writeEntries(entries)];
}

function writeEntries(entries: readonly Entry[]): readonly string[] {
  const keys = entries.map(({ key, missing }) => `${missing ? "# " : ""}${key}`);
  const width = Math.max(0, ...keys.map((key) => key.length));
  return entries.map(({ value, note }, index) => {
    const line = `${(keys[index] ?? "").padEnd(width)} = ${writeValue(value)}`;
    return note === "" ? line : `${line}  ${comment(note)}`;
  });
}

function writeLeftovers(title: string, leftovers: readonly Leftover[]): readonly string[] {
  if (leftovers.length === 0) return [];
  return [title, ...leftovers.map((each) => `  ${leftoverText(each)}`)].map(comment);
}

function writeValue(value: Value): string {
  if (typeof value === "string") return writeString(value);
  if (typeof value !== "object") return String(value);
  if (isList(value)) return `[${value.map(writeString).join(", ")}]`;
  const pairs = Object.entries(value).map(([key, each]) => `${key} = ${writeValue(each)}`);
  return `{ ${pairs.join(", ")} }`;
}

function isList(value: Value): value is readonly string[] {
  return Array.isArray(value);
}

/** A basic string of TOML is one of JSON, but for DEL, which has to be escaped too. */
function writeString(value: string): string {
  return JSON.stringify(value).replaceAll("\u007f", "\\u007f");
}

/** TOML forbids control characters in comments. */
function comment(text: string): string {
  return `# ${text.replaceAll(/\p{Cc}/gu, "?")}`;
}
