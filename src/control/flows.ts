import type { ControlConnection } from "./control-connection.ts";
import type { Endpoint } from "./core.ts";
import { encapsulationOf, isAddress, isAnyAddress, sameEndpoint } from "./endpoint.ts";
import { ERROR, generalError, type Result } from "./result-codes.ts";
import type { Turn } from "./turn.ts";

/** The two ends between which a connection's own socket carries messages and data. */
export interface Flow {
  readonly tunnel: string;
  /** Its address may be any, or a name for whatever it is at the time. Port 0: one that nobody else has. */
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly netns: string | undefined;
  /** Sockets that are bound to different ones never get each other's packets. */
  readonly bindDevice: string | undefined;
}

/**
 * What comes over UDP goes to one socket of those that are connected to the same address and port (RFC 3931 4.1.2 tells
 * tunnels apart by ids, but Linux has chosen the socket before it looks at them): of two tunnels there one would carry
 * nothing, without a word. Over IP control messages find their socket by id, and data needs none.
 */
export function flowFlaw(flow: Flow, turn: Turn): Result | undefined {
  for (const other of turn.connections.owners()) {
    if (other.state.tunnel !== flow.tunnel && isCarrying(other) && sameFlow(other.flow, flow)) {
      const message =
        "another tunnel is up between these addresses and ports; local_port = 0 at one end tells them apart";
      return generalError(ERROR.noResources, message);
    }
  }
  return undefined;
}

function isCarrying({ established, state }: ControlConnection): boolean {
  return established && state.life === "open";
}

function sameFlow(one: Flow, other: Flow): boolean {
  if (encapsulationOf(one.remote) === "ip" || encapsulationOf(other.remote) === "ip") return false;
  if (one.local.port !== other.local.port || one.local.port === 0) return false;
  if (one.remote.port !== other.remote.port || one.remote.address !== other.remote.address) return false;
  if (one.netns !== other.netns || one.bindDevice !== other.bindDevice) return false;
  return mayBeSame(one.local.address, other.local.address);
}

/** One that is not known yet may be any. */
function mayBeSame(one: string, other: string): boolean {
  return one === other || [one, other].some((address) => !isAddress(address) || isAnyAddress(address));
}

/**
 * Sockets of earlier connections of `others` with the same two endpoints would take the successor's packets: they are
 * given up, and what is still to be said on those connections goes through the successor's. Over IP every connection's
 * messages find its own socket, by the Control Connection ID.
 */
export function takeOverSockets(
  successor: ControlConnection,
  remote: Endpoint,
  others: readonly ControlConnection[],
  turn: Turn,
): void {
  if (encapsulationOf(remote) === "ip") return;
  for (const other of others) {
    const { socket, life } = other.state;
    const competes = other !== successor && socket === other.id && life !== "open";
    if (!(competes && sameEndpoint(other.state.remote, remote))) continue;
    other.closeSocket(turn);
    other.state.socket = successor.id;
  }
}
