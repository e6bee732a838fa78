import type { DeviceSettings } from "./datapath.ts";
import { VLAN_TAG_OCTETS } from "./inner-mtu.ts";
import { type LinkCalls, settingOutcome } from "./link-settings.ts";
import type { Link, LinkAnswer, LinkCall } from "./links.ts";
import { linkRefusal, noBridgeRefusal, type Refusal } from "./refusals.ts";

type Wishes = Omit<DeviceSettings, "mtu">;

/** A device of a session, as it has been until now. */
export interface ChangingDevice extends Wishes {
  readonly interfaceName: string;
  /** The l2tpeth device below it, where that is another. */
  readonly lowerName: string | undefined;
  /** Frames are to flow: only then are there routes. */
  readonly raised: boolean;
}

interface Wish {
  readonly call: LinkCall;
  /** Error numbers that are none. */
  readonly passable: readonly string[];
}

const NOT_ANSWERED: LinkAnswer = { errno: "EIO", extendedAck: "", link: undefined };

/**
 * Gives a device other settings, and does not touch what it has and keeps. New addresses come before old ones go: with its last
 * IPv4 address a device would lose all its routes. What is refused does not keep the rest from being done; the first refusal
 * is returned.
 */
export function changeDevice(calls: LinkCalls, device: ChangingDevice, settings: DeviceSettings): Refusal | undefined {
  const { interfaceName: name } = device;
  const { bridge } = settings;
  const find: LinkCall = { command: "RTM_GETLINK", name };
  const bridges: LinkCall[] = bridge === undefined ? [] : [{ command: "RTM_GETLINK", name: bridge }];
  const [own = NOT_ANSWERED, master = NOT_ANSWERED] = calls.links([find, ...bridges]);
  if (own.link === undefined) return linkRefusal(name, find, own, "");
  if (bridge !== undefined && master.link === undefined) return noBridgeRefusal(name, bridge, master);
  const wishes = [
    ...mtuWishes(own.link, device, settings),
    ...portWishes(device, settings, master.link),
    ...addressWishes(own.link.index, device, settings),
  ];
  const answers = calls.links(wishes.map(({ call }) => call));
  const refusals = wishes.map(({ call, passable }, i) => {
    const answer = answers[i] ?? NOT_ANSWERED;
    return passable.includes(answer.errno) ? undefined : settingOutcome(name, call, answer, bridge ?? "");
  });
  return refusals.find((refusal) => refusal !== undefined);
}

/** A VLAN sub-interface is never larger than the device below it, and shrinks with that. */
function mtuWishes(
  { mtu: present }: Link,
  { interfaceName, lowerName }: ChangingDevice,
  { mtu }: DeviceSettings,
): Wish[] {
  if (mtu === "auto" || mtu === present) return [];
  const lower = lowerName === undefined ? [] : [{ name: lowerName, mtu: mtu + VLAN_TAG_OCTETS }];
  return [...lower, { name: interfaceName, mtu }].map((each) => demand({ command: "RTM_SETLINK", ...each }));
}

function portWishes(before: ChangingDevice, { bridge, isolated }: Wishes, master: Link | undefined): Wish[] {
  const { interfaceName: name } = before;
  const isMoved = bridge !== before.bridge;
  // A new port is not isolated.
  const isIsolated = !isMoved && before.isolated;
  return [
    ...(isMoved ? [demand({ command: "RTM_SETLINK", name, master: master?.index ?? 0 })] : []),
    ...(bridge !== undefined && isolated !== isIsolated ? [demand({ command: "RTM_NEWLINK", name, isolated })] : []),
  ];
}

/** With an address the kernel removes others of its network, and routes that need it: what is to stay is given once more. */
function addressWishes(index: number, before: ChangingDevice, after: Wishes): Wish[] {
  const addresses = differenceOf(before.addresses, after.addresses);
  const routes = differenceOf(before.raised ? before.routes : [], before.raised ? after.routes : []);
  const isBereft = addresses.gone.length > 0;
  return [
    ...addresses.come.map((address) => wish({ command: "RTM_NEWADDR", index, address }, "EEXIST")),
    ...routes.gone.map((destination) => wish({ command: "RTM_DELROUTE", index, destination }, "ESRCH")),
    ...addresses.gone.map((address) => wish({ command: "RTM_DELADDR", index, address }, "EADDRNOTAVAIL")),
    ...(isBereft ? after.addresses : []).map((address) => wish({ command: "RTM_NEWADDR", index, address }, "EEXIST")),
    // Somebody may have set the device down: it is given its routes when it is up.
    ...routes.come.map((destination) => wish({ command: "RTM_NEWROUTE", index, destination }, "ENETDOWN")),
    ...(isBereft ? routes.stay : []).map((destination) =>
      wish({ command: "RTM_NEWROUTE", index, destination }, "EEXIST", "ENETDOWN"),
    ),
  ];
}

function differenceOf(before: readonly string[], after: readonly string[]) {
  return {
    come: after.filter((each) => !before.includes(each)),
    gone: before.filter((each) => !after.includes(each)),
    stay: after.filter((each) => before.includes(each)),
  };
}

function demand(call: LinkCall): Wish {
  return { call, passable: [] };
}

function wish(call: LinkCall, ...passable: readonly string[]): Wish {
  return { call, passable };
}
