import { challengeResponse, isChallengeResponse } from "../avp/challenge.ts";
import { type AvpValues, MESSAGES } from "../avp/messages.ts";
import type { Authentication } from "./authentication.ts";
import type { ControlConnection } from "./control-connection.ts";
import { because, type Result, STOPCCN } from "./result-codes.ts";
import type { Turn } from "./turn.ts";

/*
 * Tunnel authentication as in CHAP (RFC 2661 4.4.3, 5.1.1), for peers that ask for it: beside RFC 3931's digests, or in
 * their place. Each end may challenge the other: the initiator in its SCCRQ, which the SCCRP answers, the responder in
 * its SCCRP, which the SCCCN answers.
 */

type Opening = "SCCRQ" | "SCCRP" | "SCCCN";

interface ChapAvps {
  readonly challenge?: Uint8Array;
  readonly challengeResponse?: Uint8Array;
}

/** What an opening message carries: our challenge, once, and the answer to the peer's. */
export function chapAvps(name: Opening, { state, chapPassword }: Authentication): ChapAvps {
  if (chapPassword === undefined) return {};
  const { localChallenge, remoteChallenge } = state;
  const asks = name !== "SCCCN" && localChallenge.length > 0;
  const answers = name !== "SCCRQ" && remoteChallenge.length > 0;
  return {
    ...(asks ? { challenge: localChallenge } : {}),
    ...(answers ? { challengeResponse: challengeResponse(MESSAGES[name].type, chapPassword, remoteChallenge) } : {}),
  };
}

/**
 * Why the Challenge of an SCCRQ or SCCRP cannot be answered. Somebody without the password could have his own challenge
 * answered by putting it to the one who posed it, on another connection: our own are never answered.
 */
export function challengeFlaw(
  name: Opening,
  { challenge }: AvpValues,
  chapPassword: Uint8Array | undefined,
  turn: Turn,
): Result | undefined {
  if (challenge === undefined) return undefined;
  if (chapPassword === undefined) {
    return because(
      STOPCCN.notAuthorized,
      `${name} with a Challenge, and this end has no CHAP password to answer it with`,
    );
  }
  for (const { state } of turn.connections.owners()) {
    if (!same(state.authentication.localChallenge, challenge)) continue;
    return because(STOPCCN.notAuthorized, `${name} with a Challenge that is this end's own`);
  }
  return undefined;
}

/** Why an SCCRP or SCCCN does not prove that the peer knows the password, or asks what cannot be answered. */
export function chapFlaw(
  name: "SCCRP" | "SCCCN",
  { authentication }: ControlConnection,
  avps: AvpValues,
  turn: Turn,
): Result | undefined {
  const { chapPassword, state } = authentication;
  // Without a challenge there is nothing to prove: the password came later than the connection.
  if (chapPassword !== undefined && state.localChallenge.length > 0) {
    const { challengeResponse: response } = avps;
    if (response === undefined) {
      return because(STOPCCN.notAuthorized, `${name} without Challenge Response: this end wants a CHAP password`);
    }
    if (!isChallengeResponse(response, MESSAGES[name].type, chapPassword, state.localChallenge)) {
      return because(STOPCCN.notAuthorized, `${name} with a wrong Challenge Response: is the CHAP password the same?`);
    }
  }
  return name === "SCCRP" ? challengeFlaw(name, avps, chapPassword, turn) : undefined;
}

function same(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((octet, index) => octet === other[index]);
}
