import type { SessionRequest } from "./datapath.ts";
import { l2tpDeviceOf } from "./device-names.ts";
import { mtuReduction, VLAN_TAG_OCTETS } from "./inner-mtu.ts";
import { aliasOf } from "./leftovers.ts";
import { applySettings, type LinkCalls, lookUpNames, type Setting } from "./link-settings.ts";
import type { Link, LinkCall } from "./links.ts";
import type { Refusal } from "./refusals.ts";

/**
 * VLAN pseudowires in the kernel, which has Ethernet ports only (type 5): the l2tpeth device has a name of its own, and the
 * device of the configuration is a VLAN sub-interface of it, which puts the tag on and takes it off. It goes with the
 * device below it.
 */

/** Those whose sub-interface would have the name of a device that is there already. */
export function takenNames(calls: LinkCalls, sessions: readonly SessionRequest[]): Map<SessionRequest, Link> {
  const tagged = sessions.filter(({ vlan }) => vlan !== undefined);
  const found = lookUpNames(calls, new Set(tagged.map(({ interfaceName }) => interfaceName)));
  return new Map(
    tagged.flatMap((session) => {
      const link = found.get(session.interfaceName)?.link;
      return link === undefined ? [] : [[session, link] as const];
    }),
  );
}

/** Over l2tpeth devices that have just been made, where a session has a VLAN. */
export function makeSubInterfaces(calls: LinkCalls, sessions: readonly SessionRequest[]): Map<SessionRequest, Refusal> {
  const tagged = sessions.filter(({ vlan }) => vlan !== undefined);
  const lower = lookUpNames(calls, new Set(tagged.map(l2tpDeviceOf)));
  const settings = tagged.flatMap((session) => settingsOf(session, lower.get(l2tpDeviceOf(session))?.link));
  return applySettings(calls, settings);
}

/** The kernel takes the tag for payload, both in the MTU that it gives the l2tpeth device and in what that device carries. */
function settingsOf(session: SessionRequest, lower: Link | undefined): Setting[] {
  const { interfaceName, vlan = 0, mtu } = session;
  const name = l2tpDeviceOf(session);
  const madeMtu = lower?.mtu ?? 0;
  const lowerMtu = mtu === "auto" ? madeMtu - mtuReduction(session) : mtu + VLAN_TAG_OCTETS;
  const calls: LinkCall[] = [
    { command: "RTM_SETLINK", name, alias: aliasOf(session) },
    { command: "RTM_SETLINK", name, quiet: "ipv4" },
    { command: "RTM_SETLINK", name, quiet: "ipv6" },
  ];
  if (lowerMtu !== madeMtu) calls.push({ command: "RTM_SETLINK", name, mtu: lowerMtu });
  const subInterface = { lower: lower?.index ?? 0, vlan, mtu: lowerMtu - VLAN_TAG_OCTETS };
  return [
    ...calls.map((call) => ({ session, name, call })),
    { session, name: interfaceName, call: { command: "RTM_NEWLINK", name: interfaceName, ...subInterface } },
  ];
}
