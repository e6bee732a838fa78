import type { Findings } from "./findings.ts";
import { type Shown, takeShown } from "./ip-show.ts";
import type { IpState } from "./ip-state.ts";
import { type Line, linesOf, type Source } from "./source.ts";

/** The lines of `ip l2tp show`; the groups are the keys of `ip -json`. */
const SHOWN_LINES = [
  /^Tunnel (?<tunnel_id>\d+),\s+encap (?<encap>\S+)$/,
  /^From (?<local>\S+)\s+to (?<peer>\S+)$/,
  /^Peer tunnel (?<peer_tunnel>\d+)$/,
  /^UDP source \/ dest ports: (?<local_port>\d+)\/(?<peer_port>\d+)$/,
  /^UDP checksum: (?<checksum>enabled|disabled|tx|rx)$/,
  /^Session (?<session_id>\d+) in tunnel (?<tunnel_id>\d+)$/,
  /^Peer session (?<peer_session_id>\d+), tunnel (?<peer_tunnel_id>\d+)$/,
  /^interface name: (?<interface>\S+)$/,
  /^offset 0, peer offset 0$/,
  /^cookie (?<cookie>[0-9a-f]+)(?:\s+peer cookie (?<peer_cookie>[0-9a-f]+))?(?:\s+reorder timeout: (?<reorder_timeout>\d+))?$/,
  /^peer cookie (?<peer_cookie>[0-9a-f]+)(?:\s+reorder timeout: (?<reorder_timeout>\d+))?$/,
  /^reorder timeout: (?<reorder_timeout>\d+)$/,
  /^sequence numbering:(?<send_seq> send)?(?<recv_seq> recv)?$/,
];

const FIRST_LINE = /^(?:Tunnel|Session) \d/;

const NUMBERS = [
  "tunnel_id",
  "peer_tunnel",
  "local_port",
  "peer_port",
  "session_id",
  "peer_session_id",
  "reorder_timeout",
];

/** What `ip l2tp show tunnel` and `… show session` print for people. */
export function readIpText(source: Source, state: IpState, findings: Findings): void {
  for (const { line, shown } of blocksOf(source, findings)) takeShown(shown, line, state, findings);
}

function blocksOf(source: Source, findings: Findings): readonly { readonly line: Line; readonly shown: Shown }[] {
  const blocks: { readonly line: Line; shown: Shown }[] = [];
  for (const line of linesOf(source)) {
    const trimmed = line.text.trim();
    if (trimmed === "") continue;
    const match = SHOWN_LINES.map((pattern) => pattern.exec(trimmed)).find((each) => each !== null);
    if (match !== undefined && FIRST_LINE.test(trimmed)) blocks.push({ line, shown: {} });
    const block = blocks.at(-1);
    if (match === undefined || block === undefined) findings.unknown(line);
    else block.shown = { ...block.shown, ...valuesIn(match.groups ?? {}, block.shown) };
  }
  return blocks;
}

function valuesIn(groups: Readonly<Record<string, string | undefined>>, before: Shown): Shown {
  const given = Object.entries(groups).filter(([, value]) => value !== undefined);
  const shown = given.map(([key, value]) => [key, NUMBERS.includes(key) ? Number(value) : value]);
  const { checksum, ...others }: Shown = Object.fromEntries(shown);
  return checksum === undefined ? others : { ...others, ...checksumsOf(String(checksum), before) };
}

/** "enabled" of IPv4 is one thing, of IPv6 two. */
function checksumsOf(word: string, { local }: Shown): Shown {
  if (!String(local).includes(":")) return { checksum: word === "enabled" };
  return { checksum_tx: ["enabled", "tx"].includes(word), checksum_rx: ["enabled", "rx"].includes(word) };
}
