import type { AnyTunnel } from "./any-tunnel.ts";
import type { ControlConnectionState } from "./control-connection-state.ts";
import type { Endpoint } from "./core.ts";

/** What keeps a control connection from coming up at the moment; where that is not known, what was wrong last. */
export function presentError({ configuration, state }: AnyTunnel, live: ControlConnectionState | undefined): string {
  if (state.closed?.message !== undefined) return state.closed.message;
  if (live?.state === "established") return state.lastError;
  // Who pauses between two attempts has learnt by the last one what is wrong.
  const isWaiting = live !== undefined || configuration.role === "responder";
  const { lately } = state.forged;
  if (isWaiting && lately > 0) return droppedForDigest(lately);
  return noAnswerYet(live) ?? state.lastError;
}

/** `count`: at least 1. */
function droppedForDigest(count: number): string {
  return `messages dropped because their digest is missing or wrong: ${count}; is the secret the same at both ends?`;
}

/** Of a handshake, from the first retransmission on: the log has a line when it is given up. */
function noAnswerYet(live: ControlConnectionState | undefined): string | undefined {
  if (live === undefined || live.state === "idle" || live.channel.retransmissions === 0) return undefined;
  return `no answer yet from ${placeOf(live.remote)}, ${live.channel.retransmissions + 1} tries`;
}

/**
 * Why a connection is given up whose peer was silent. `dropped`: messages in its place whose digest was missing or wrong.
 * `isUnheard`: it may know another secret.
 */
export function noAnswer(remote: Endpoint, dropped: number, isUnheard: boolean): string {
  if (dropped > 0) return `no genuine answer from ${placeOf(remote)}: ${droppedForDigest(dropped)}`;
  const secret = isUnheard ? ", or has another secret" : "";
  return `no answer from ${placeOf(remote)}: the peer is dead or cannot be reached${secret}`;
}

function placeOf({ address, port }: Endpoint): string {
  return port === 0 ? address : `${address} port ${port}`;
}

/** What was wrong is so no longer, or is found out again; but what an administrator has closed stays closed. */
export function forgetErrors({ state, sessions }: Pick<AnyTunnel, "state" | "sessions">): void {
  state.lastError = state.closed?.message ?? "";
  for (const session of sessions.values()) if (!session.state.closed) session.state.lastError = "";
}
