import type { ControlConnection } from "./control-connection.ts";
import type { Endpoint, Entropy } from "./core.ts";
import type { Sccrq } from "./sccrq.ts";
import type { TunnelState } from "./tunnel-state.ts";
import type { Turn } from "./turn.ts";

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

/** SCCRQs of one peer that are answered in a second: what comes faster is a flood under its name. */
const MOST_ANSWERS_PER_SECOND = 50;

/**
 * Whether one more SCCRQ is answered now. Whoever sends them may have forged the peer's address, or repeat what the peer
 * once said, and nobody's flood is to be reflected (RFC 3931 4.3).
 */
export function mayAnswer({ name, answers }: TunnelState, turn: Turn): boolean {
  const second = Math.floor(turn.now / 1_000);
  if (second !== answers.second) Object.assign(answers, { second, count: 0 });
  answers.count += 1;
  if (answers.count === MOST_ANSWERS_PER_SECOND + 1) {
    const message = `more than ${MOST_ANSWERS_PER_SECOND} SCCRQs within a second: the rest is dropped in silence`;
    turn.log("warn", "too-many-sccrqs", message, { tunnel: name });
  }
  return answers.count <= MOST_ANSWERS_PER_SECOND;
}

/**
 * Whether an SCCRQ with the sender and the assigned id of a connection that exists is that connection's once more. Octet
 * by octet the same it is; with a new Random Vector or other small changes it may be, while the handshake is not over,
 * unless it has another nonce. Otherwise the peer has begun anew and drawn the same id.
 */
export function isRetransmission({ octets, authentication }: Sccrq, { state }: ControlConnection): boolean {
  const { life, request } = state;
  if (life !== "open" || request === undefined) return false;
  if (same(octets, request)) return true;
  return state.state === "wait-ctl-conn" && same(authentication.state.remoteNonce, state.authentication.remoteNonce);
}

function same(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((octet, index) => octet === other[index]);
}
