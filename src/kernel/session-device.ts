import type { SessionRequest } from "./datapath.ts";
import { KernelError } from "./kernel-error.ts";
import { callLinks, type LinkAnswer, type LinkCall } from "./links.ts";
import type { NetlinkRequest } from "./netlink-messages.ts";
import type { NetlinkAnswer } from "./netlink-socket.ts";
import { linkRefusal, noBridgeRefusal, type Refusal } from "./refusals.ts";

type Exchange = (requests: readonly NetlinkRequest[]) => readonly NetlinkAnswer[];
export type DeviceConfiguration = Pick<SessionRequest, "interfaceName" | "bridge" | "addresses"> & {
  readonly mtu: number;
};

const NOT_ANSWERED: LinkAnswer = { errno: "EIO", extendedAck: "", link: undefined };

/** Gives an existing device its MTU, bridge and addresses; whether it is up stays as it is. Throws `KernelError`. */
export function configureDevice(exchange: Exchange, device: DeviceConfiguration): void {
  const { interfaceName: name, mtu, bridge, addresses } = device;
  demand(exchange, { command: "RTM_SETLINK", name, mtu });
  if (bridge !== undefined) {
    const answer = ask(exchange, { command: "RTM_GETLINK", name: bridge });
    if (answer.link === undefined) throw failure(noBridgeRefusal(name, bridge, answer));
    demand(exchange, { command: "RTM_SETLINK", name, master: answer.link.index }, bridge);
  }
  addAddresses(exchange, name, addresses, []);
}

/** Sets the device up, with its addresses, of which it may have lost some while it was down. Throws `KernelError`. */
export function raiseDevice(exchange: Exchange, name: string, addresses: readonly string[]): void {
  addAddresses(exchange, name, addresses, ["EEXIST"]);
  demand(exchange, { command: "RTM_SETLINK", name, up: true });
}

/** Sets the device down. Throws `KernelError`. */
export function lowerDevice(exchange: Exchange, name: string): void {
  demand(exchange, { command: "RTM_SETLINK", name, up: false });
}

/** `passable`: error numbers that are none. */
function addAddresses(
  exchange: Exchange,
  name: string,
  addresses: readonly string[],
  passable: readonly string[],
): void {
  if (addresses.length === 0) return;
  const { link } = demand(exchange, { command: "RTM_GETLINK", name });
  for (const address of addresses) {
    const call: LinkCall = { command: "RTM_NEWADDR", index: link?.index ?? 0, address };
    const answer = ask(exchange, call);
    if (answer.errno !== "" && !passable.includes(answer.errno)) throw failure(linkRefusal(name, call, answer, ""));
  }
}

function demand(exchange: Exchange, call: Exclude<LinkCall, { command: "RTM_NEWADDR" }>, bridge = ""): LinkAnswer {
  const answer = ask(exchange, call);
  if (answer.errno === "") return answer;
  throw failure(linkRefusal(call.name, call, answer, bridge));
}

function ask(exchange: Exchange, call: LinkCall): LinkAnswer {
  return callLinks(exchange, [call])[0] ?? NOT_ANSWERED;
}

function failure(refusal: Refusal): KernelError {
  return new KernelError(refusal.message, refusal);
}
