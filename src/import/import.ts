import { readCisco } from "./cisco-config.ts";
import { Mirror } from "./cisco-draft.ts";
import { type Draft, type DraftTunnel, holdsSecrets } from "./draft.ts";
import { Findings, leftoverText } from "./findings.ts";
import { ImportError } from "./import-error.ts";
import { readIpCommands } from "./ip-commands.ts";
import { draftFromIp } from "./ip-draft.ts";
import { readIpJson } from "./ip-json.ts";
import { IpState } from "./ip-state.ts";
import { readIpText } from "./ip-text.ts";
import { IMPORT_KINDS, type ImportKind, KINDS } from "./kinds.ts";
import type { Source } from "./source.ts";
import { writeSite } from "./write.ts";

export interface Imported {
  /** The site.toml. */
  readonly toml: string;
  /** A line each: what is not taken over, and what has to be put in. */
  readonly warnings: readonly string[];
  readonly holdsSecrets: boolean;
}

/** No kind was given, and none can be recognised. */
export class UnknownKind extends ImportError {}

/**
 * Reads what configures another L2TPv3 and makes this end's site.toml. `kind`: what all sources are; `undefined`: each is
 * recognised. Throws an `ImportError` where a source cannot be read, or nothing in all of them makes a tunnel.
 */
export function importSite(sources: readonly Source[], kind: ImportKind | undefined): Imported {
  const findings = new Findings();
  const state = new IpState(findings);
  const mirror = new Mirror(findings);
  const mirrored: DraftTunnel[] = [];
  const told = sources.map((source) => ({ source, kind: kind ?? recognise(source) }));
  for (const { source, kind: each } of told) {
    if (each === "cisco") mirrored.push(...mirror.tunnelsFor(readCisco(source, findings)));
    else IP_READERS[each](source, state, findings);
  }
  const ip = draftFromIp(state, findings);
  const draft: Draft = { listen: listenFor(mirrored), tunnels: [...ip.tunnels, ...mirrored] };
  const warnings = [...findings.requests, ...findings.leftovers.map((each) => `not taken over: ${leftoverText(each)}`)];
  if (draft.tunnels.length === 0) throw new ImportError([...warnings, "no L2TPv3 tunnel in the input"].join("\n"));
  const origin = told.map(({ source, kind: each }) => `${source.name} (${KINDS[each].title})`).join(", ");
  return { toml: writeSite(draft, findings, origin), warnings, holdsSecrets: holdsSecrets(draft) };
}

const IP_READERS = { "ip-json": readIpJson, "ip-text": readIpText, "ip-commands": readIpCommands } as const;

function recognise({ name, text }: Source): ImportKind {
  const kind = IMPORT_KINDS.find((each) => KINDS[each].mark.test(text));
  if (kind === undefined) throw new UnknownKind(`${name}: not recognised: say what it is with --from`);
  return kind;
}

/** Routers open control connections too; what is typed in needs no listener. */
function listenFor(tunnels: readonly DraftTunnel[]): readonly string[] {
  const locals = tunnels
    .filter(({ entries }) => !entries.some(({ key }) => key === "mode"))
    .flatMap(({ entries }) => entries.filter(({ key }) => key === "local").map(({ value }) => String(value)));
  return [...new Set(locals)].map((local) => `ip:${local.includes(":") ? `[${local}]` : local}`);
}
