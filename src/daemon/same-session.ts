import type { CircuitState, SessionState } from "../control/session-state.ts";

/**
 * Whether a session is still as its copy has it. It is asked of each session of a tunnel whenever something happens to the tunnel,
 * so that every field is compared by name, which takes some nanoseconds. What is in a field is replaced, never changed, but for
 * those that are copied as well.
 */
export function isSameSession(one: SessionState, copy: SessionState): boolean {
  return (
    isSameCall(one, copy) &&
    isSamePeer(one, copy) &&
    isSameHistory(one, copy) &&
    isSameCircuit(one.circuit, copy.circuit)
  );
}

export function copyOfSession(state: SessionState): SessionState {
  return { ...state, circuit: { ...state.circuit }, outcomes: { ...state.outcomes } };
}

function isSameCall(one: SessionState, copy: SessionState): boolean {
  return (
    one.state === copy.state &&
    one.role === copy.role &&
    one.localControlConnectionId === copy.localControlConnectionId &&
    one.localSessionId === copy.localSessionId &&
    one.localCookie === copy.localCookie &&
    one.tieBreaker === copy.tieBreaker &&
    one.held === copy.held &&
    one.datapath === copy.datapath &&
    one.forwarding === copy.forwarding
  );
}

function isSamePeer(one: SessionState, copy: SessionState): boolean {
  return (
    one.remoteSessionId === copy.remoteSessionId &&
    one.remoteCookie === copy.remoteCookie &&
    one.l2Sublayer === copy.l2Sublayer &&
    one.sequencing === copy.sequencing &&
    one.peerSequencing === copy.peerSequencing &&
    one.remoteCircuitStatus === copy.remoteCircuitStatus &&
    one.remoteErrors === copy.remoteErrors
  );
}

function isSameHistory(one: SessionState, copy: SessionState): boolean {
  return (
    one.name === copy.name &&
    one.failures === copy.failures &&
    one.heldSince === copy.heldSince &&
    one.outcomes.established === copy.outcomes.established &&
    one.outcomes.failed === copy.outcomes.failed &&
    one.closed === copy.closed &&
    one.since === copy.since &&
    one.lastError === copy.lastError &&
    one.ended === copy.ended
  );
}

function isSameCircuit(one: CircuitState, copy: CircuitState): boolean {
  return (
    one.condition === copy.condition &&
    one.advertised === copy.advertised &&
    one.advertisedAt === copy.advertisedAt &&
    one.errors === copy.errors &&
    one.errorsAtBegin === copy.errorsAtBegin &&
    one.warned === copy.warned
  );
}
