import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { MESSAGE_NAMES } from "../../../src/avp/messages.ts";
import { parseSite } from "../../../src/config/load.ts";
import { DIALECT_NAMES } from "../../../src/control/dialects.ts";

const sources = fileURLToPath(new URL("../../../src/", import.meta.url));
const folder = fileURLToPath(new URL("../../../docs/interop/", import.meta.url));
const pages = readdirSync(folder).filter((name) => name.endsWith(".md"));

/** The configurations for this end that the pages show, with the page's name and a number. */
const SNIPPETS = pages.flatMap((page) => {
  const blocks = readFileSync(`${folder}${page}`, "utf8").matchAll(/^```toml\n([\s\S]*?)^```$/gm);
  return Array.from(blocks, ([, toml = ""], index) => [page, index + 1, toml] as const);
});

const read = (page: string) => readFileSync(`${folder}${page}`, "utf8");

/** The blocks of a page in one of these languages. */
function blocks(page: string, ...languages: readonly string[]): readonly string[] {
  const fenced = Array.from(read(page).matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm));
  return fenced.flatMap(([, language = "", text = ""]) => (languages.includes(language) ? [text] : []));
}

/** The log lines that a page quotes: in blocks, below a line of `show`, and in the table of what goes wrong. */
function quotedLines(page: string): readonly string[] {
  const [, table = ""] = /^\| what `show` or the log says.*\n((?:\|.*\n)*)/m.exec(read(page)) ?? [];
  const cells = Array.from(table.matchAll(/^\| `([^`]+)`/gm), ([, line = ""]) => line);
  const remarks = blocks(page, "show").flatMap((block) => block.match(/(?<=^ +! ).+$/gm) ?? []);
  return [...cells, ...remarks, ...blocks(page, "log").flatMap((block) => block.trimEnd().split("\n"))];
}

/** What the sources say between the values that they put in: runs of text of some length, the longest first. */
const PIECES = readdirSync(sources, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .flatMap((name) => readFileSync(`${sources}${name}`, "utf8").match(/(?<=["`}])[^"`${}\n\\]+(?=["`$])/g) ?? [])
  .filter((piece) => /\w \S*\w|[(:,;]/.test(piece) && /[a-z]/i.test(piece))
  .sort((a, b) => b.length - a.length);

/** Names that no configuration of the pages has, and words that stand between values alone. */
const EXAMPLES = ["MikroTik", "tokyo", "l2", "port", "result", "expected"];
const NAMES = [...EXAMPLES, ...DIALECT_NAMES.flatMap((name) => name.split("-")), ...MESSAGE_NAMES];

/** The words of a log line that are neither from the sources nor names or numbers; after a peer's result its own follow. */
function strangers(line: string, page: string): readonly string[] {
  const ours = line.replace(/^(the peer closed .*\(result [^)]*\)).*/, "$1");
  const rest = PIECES.reduce((left, piece) => left.replaceAll(piece, "\0"), ours);
  const known = new Set([...NAMES, ...blocks(page, "", "toml").join().split(/\W/)]);
  return rest.split(/[^\w]+/).filter((word) => /[a-z]/i.test(word) && !known.has(word));
}

describe("docs/interop", () => {
  test.each(pages.flatMap((page) => quotedLines(page).map((line) => [page, line] as const)))(
    "%s: the sources have the words of %s",
    (page, line) => {
      expect(strangers(line, page)).toEqual([]);
    },
  );

  test("words that the sources do not have are told", () => {
    expect(strangers("control connection with pe2 has come up", "cisco.md")).toEqual(["has", "come", "up"]);
    expect(strangers("session stands on l2-pe2-lan100", "cisco.md")).toEqual(["stands", "on"]);
    expect(strangers("control connection with pe3 is established", "cisco.md")).toEqual(["pe3"]);
    expect(strangers("call refused: no such forwarder (result 24)", "cisco.md")).toEqual(["such", "forwarder"]);
  });

  test("every page for a peer quotes show, with the columns that it has, and the log", () => {
    const table = readFileSync(`${sources}cli/show-table.ts`, "utf8");
    const others = ["README.md", "mistakes.md"];
    for (const page of pages.filter((each) => !others.includes(each))) {
      const titles = blocks(page, "show").flatMap((block) => block.match(/^TUNNEL.*|^SESSION.*/gm) ?? []);
      expect(titles.length, page).toBeGreaterThan(0);
      for (const title of titles.flatMap((line) => line.split(/ {2,}/))) expect(table).toContain(`"${title}"`);
      expect(quotedLines(page).length, page).toBeGreaterThan(0);
    }
  });

  test.each(SNIPPETS)("%s, configuration %i is good, and gives no warning", (_, __, toml) => {
    const site = parseSite(toml, "site.toml");
    expect(site.warnings).toEqual([]);
    expect(site.tunnels.length).toBeGreaterThan(0);
    expect(site.tunnels.every(({ sessions }) => sessions.length > 0)).toBe(true);
  });

  test("every page for a peer shows one", () => {
    const shown = new Set(SNIPPETS.map(([page]) => page));
    const others = ["README.md", "mistakes.md"];
    expect(pages.filter((page) => !shown.has(page) && !others.includes(page))).toEqual([]);
    expect(shown.size).toBeGreaterThanOrEqual(6);
  });

  test.each(pages)("the links of %s lead somewhere", (page) => {
    const links = readFileSync(`${folder}${page}`, "utf8").matchAll(/\]\(([^)#:]+)\)/g);
    for (const [, target = ""] of links) expect(existsSync(`${folder}${target}`), target).toBe(true);
  });
});
