import { canonicalAddress, familyOf, familyOfLocal, isLinkLocal } from "../control/endpoint.ts";
import { type BuiltTunnel, placeOf } from "./contradictions.ts";
import type { Problems } from "./problems.ts";
import type { DatapathChoice } from "./site.ts";

/** What L2TP over IP excludes, and addresses of two IP versions. */
export function checkEncapsulations(built: readonly BuiltTunnel[], datapath: DatapathChoice, problems: Problems): void {
  for (const each of built) {
    checkFamilies(each, problems);
    if (each.tunnel.encapsulation === "ip") checkOverIp(each, datapath, problems);
  }
}

function checkOverIp({ table }: BuiltTunnel, datapath: DatapathChoice, problems: Problems): void {
  if (datapath === "userspace") {
    const allowed = 'allowed with datapath "userspace": "udp"';
    problems.error(placeOf(table, "encapsulation"), `found "ip", which only the kernel's datapath carries, ${allowed}`);
  }
  for (const key of ["peer_port", "local_port"] as const) {
    if (table.layers.every(({ given }) => given[key] === undefined)) continue;
    problems.error(placeOf(table, key), 'there are no ports with encapsulation "ip": leave the key out');
  }
}

function checkFamilies({ table, tunnel }: BuiltTunnel, problems: Problems): void {
  const peer = canonicalAddress(tunnel.peer ?? "");
  if (peer === undefined || table.wrong.has("local")) return;
  const family = familyOfLocal(tunnel.local);
  if (isLinkLocal(peer) && tunnel.local.startsWith("@")) {
    problems.error(placeOf(table, "local"), "a link-local peer names the interface itself: leave local out");
  }
  if (family === undefined || family === familyOf(peer)) return;
  problems.error(
    placeOf(table, "local"),
    `found "${tunnel.local}", which is not of the IP version of the peer, ${peer}, allowed: "auto" or one of IPv${familyOf(peer)}`,
  );
}
