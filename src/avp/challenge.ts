import { createHash, timingSafeEqual } from "node:crypto";

/**
 * The value of a Challenge Response AVP, 16 octets: MD5 over `id`, secret and challenge, as in CHAP. `id` is the type of
 * the message that carries the response, 2 in an SCCRP, 3 in an SCCCN (RFC 2661 4.4.3, 5.1.1). RFC 3931 has control
 * message authentication instead; this is for peers that ask for it. Throws RangeError where `id` is no octet.
 */
export function challengeResponse(id: number, secret: Uint8Array, challenge: Uint8Array): Uint8Array {
  if (!Number.isInteger(id) || id < 0 || id > 0xff) throw new RangeError(`the id ${id} is not an octet`);
  return new Uint8Array(createHash("md5").update(Uint8Array.of(id)).update(secret).update(challenge).digest());
}

/** Whether `received` is that response. Compares in constant time. Throws RangeError where `id` is no octet. */
export function isChallengeResponse(
  received: Uint8Array,
  id: number,
  secret: Uint8Array,
  challenge: Uint8Array,
): boolean {
  const expected = challengeResponse(id, secret, challenge);
  return received.length === expected.length && timingSafeEqual(received, expected);
}
