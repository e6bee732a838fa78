import type { SessionRequest } from "./datapath.ts";
import { KernelError } from "./kernel-error.ts";
import { callLinks, type LinkAnswer, type LinkCall, type NamedCall } from "./links.ts";
import type { NetlinkRequest } from "./netlink-messages.ts";
import type { NetlinkAnswer } from "./netlink-socket.ts";
import { linkRefusal, noBridgeRefusal, type Refusal } from "./refusals.ts";

type Exchange = (requests: readonly NetlinkRequest[]) => readonly NetlinkAnswer[];
export type DeviceConfiguration = Pick<SessionRequest, "interfaceName" | "bridge" | "isolated" | "addresses"> & {
  readonly mtu: number;
};

const NOT_ANSWERED: LinkAnswer = { errno: "EIO", extendedAck: "", link: undefined };

/** Gives an existing device its MTU, bridge and addresses; whether it is up stays as it is. Throws `KernelError`. */
export function configureDevice(exchange: Exchange, device: DeviceConfiguration): void {
  const { interfaceName: name, mtu, bridge, isolated, addresses } = device;
  demand(exchange, { command: "RTM_SETLINK", name, mtu });
  if (bridge !== undefined) {
    const answer = ask(exchange, { command: "RTM_GETLINK", name: bridge });
    if (answer.link === undefined) throw failure(noBridgeRefusal(name, bridge, answer));
    demand(exchange, { command: "RTM_SETLINK", name, master: answer.link.index }, bridge);
    if (isolated) demand(exchange, { command: "RTM_NEWLINK", name, isolated }, bridge);
  }
  addAll(exchange, name, addressCalls(addresses), []);
}

/**
 * Sets the device up, with its addresses, of which it may have lost some while it was down, and with its routes, which it
 * has only while it is up. Throws `KernelError`.
 */
export function raiseDevice(
  exchange: Exchange,
  name: string,
  addresses: readonly string[],
  routes: readonly string[],
): void {
  addAll(exchange, name, addressCalls(addresses), ["EEXIST"]);
  demand(exchange, { command: "RTM_SETLINK", name, up: true });
  const calls = routes.map(
    (destination) => (index: number) => ({ command: "RTM_NEWROUTE", index, destination }) as const,
  );
  addAll(exchange, name, calls, []);
}

/** Sets the device down. Throws `KernelError`. */
export function lowerDevice(exchange: Exchange, name: string): void {
  demand(exchange, { command: "RTM_SETLINK", name, up: false });
}

type Addition = (index: number) => LinkCall;

function addressCalls(addresses: readonly string[]): readonly Addition[] {
  return addresses.map((address) => (index) => ({ command: "RTM_NEWADDR", index, address }) as const);
}

/** `passable`: error numbers that are none. */
function addAll(exchange: Exchange, name: string, additions: readonly Addition[], passable: readonly string[]): void {
  if (additions.length === 0) return;
  const { link } = demand(exchange, { command: "RTM_GETLINK", name });
  for (const addition of additions) {
    const call = addition(link?.index ?? 0);
    const answer = ask(exchange, call);
    if (answer.errno !== "" && !passable.includes(answer.errno)) throw failure(linkRefusal(name, call, answer, ""));
  }
}

function demand(exchange: Exchange, call: NamedCall, bridge = ""): LinkAnswer {
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
