import fc from "fast-check";
import { encodeMessage } from "../../src/avp/encode.ts";
import { type AvpValues, type ControlMessage, MESSAGE_NAMES } from "../../src/avp/messages.ts";
import { Authentication } from "../../src/control/authentication.ts";
import type { AuthenticationConfiguration } from "../../src/control/configuration.ts";
import type { ControlConnectionState } from "../../src/control/control-connection-state.ts";
import type { SessionState } from "../../src/control/session-state.ts";
import { messagesNamed } from "../unit/avp/arbitraries.ts";
import { type Draft, draftOf } from "./mutations.ts";
import { SeededEntropy, type VirtualNode } from "./virtual-link.ts";

const SAMPLES_PER_MESSAGE = 6;
const SEED = 3931;

/** Every message, each with any AVPs that it may carry. */
const SAMPLES: readonly ControlMessage[] = MESSAGE_NAMES.flatMap((name) =>
  fc.sample(messagesNamed(name), { seed: SEED, numRuns: SAMPLES_PER_MESSAGE }),
);

/** The one connection of a node that is established, as it is kept. */
export function connectionOf(node: VirtualNode): ControlConnectionState {
  const connection = node.core.save().connections.find(({ state }) => state === "established");
  if (connection === undefined) throw new Error("no connection is established");
  return connection;
}

/** What the other end of a connection signs and hides with: in its view its nonce is our remote one. */
export function peerOf(
  { authentication }: ControlConnectionState,
  policy: AuthenticationConfiguration,
): Authentication {
  const { localNonce: remoteNonce, remoteNonce: localNonce } = authentication;
  return new Authentication(policy, { ...authentication, localNonce, remoteNonce, provenSecret: 0 });
}

/**
 * What the peer of `node` could say now on the established connection: valid messages of every kind with the numbers
 * that are due, half of them about the sessions that exist, and half of those to the end for which CCID 0 stands.
 * `policy`: with digests as the peer would sign, and AVPs hidden as it would.
 */
export function corpusFor(node: VirtualNode, policy: AuthenticationConfiguration): readonly Draft[] {
  const state = connectionOf(node);
  const peers = peerOf(state, policy);
  const chance = new SeededEntropy(SEED);
  const sessions = node.core.save().tunnels[0]?.sessions ?? [];
  const aptSamples = SAMPLES.map((message, index) =>
    index % 2 === 0 ? message : apt(message, state, sessions, index),
  );
  return aptSamples.map((message, index) => {
    const ccid = index % 4 === 3 ? 0 : state.localControlConnectionId;
    const octets = encodeMessage(ccid, state.channel.nr, state.channel.nextNs, message, peers.envelope(chance));
    peers.sign(octets);
    return draftOf(octets);
  });
}

/** The same message about what exists. */
function apt(
  message: ControlMessage,
  connection: ControlConnectionState,
  sessions: readonly SessionState[],
  index: number,
): ControlMessage {
  const session = sessions[index % sessions.length] as SessionState;
  const values: AvpValues = {
    localSessionId: session.remoteSessionId || index,
    remoteSessionId: session.localSessionId,
    remoteEndId: new TextEncoder().encode(session.name),
    pseudowireType: 5,
    l2SpecificSublayer: 0,
    dataSequencing: 0,
    assignedControlConnectionId: connection.remoteControlConnectionId,
  };
  const known = Object.entries(values).filter(([name]) => name in message);
  return { ...message, ...Object.fromEntries(known) };
}
