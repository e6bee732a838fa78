import type { ControlConnection, ControlConnectionState } from "./control-connection.ts";
import type { Endpoint, Entropy } from "./core.ts";

/**
 * Connections that may be open without having finished the handshake: from one address, and in all. Beyond that one of
 * them goes, by chance: whoever floods does not know which, and the genuine one mostly stays.
 */
const MAX_HALF_OPEN_OF_ADDRESS = 32;
const MAX_HALF_OPEN = 64;

/** The one of `connections` that has to go before `from` opens another; `undefined`: there is room. */
export function excessHalfOpen(
  connections: readonly ControlConnection[],
  from: Endpoint,
  entropy: Entropy,
): ControlConnection | undefined {
  const halfOpen = connections.filter(({ state }) => state.life === "open" && state.state === "wait-ctl-conn");
  const ofAddress = halfOpen.filter(({ state }) => state.remote.address === from.address);
  const crowd = ofAddress.length >= MAX_HALF_OPEN_OF_ADDRESS ? ofAddress : halfOpen;
  if (crowd === halfOpen && halfOpen.length < MAX_HALF_OPEN) return undefined;
  return crowd[entropy.uint32() % crowd.length];
}

/**
 * An SCCRQ with the sender and the id of a connection that exists is this connection's once more, octet by octet, or a
 * peer that has begun anew and drawn the same id.
 */
export function isRetransmission(octets: Uint8Array, { life, request }: ControlConnectionState): boolean {
  if (life !== "open" || request === undefined || request.length !== octets.length) return false;
  return request.every((octet, index) => octet === octets[index]);
}
