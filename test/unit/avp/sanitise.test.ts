import { describe, expect, test } from "vitest";
import { challengeResponse } from "../../../src/avp/challenge.ts";
import { decodeMessage } from "../../../src/avp/decode.ts";
import { digestKey, verifyMessage } from "../../../src/avp/digest.ts";
import { hide, hidingKey } from "../../../src/avp/hiding.ts";
import { ProtocolError } from "../../../src/avp/protocol-error.ts";
import { type StandIns, sanitiseMessage, type Witness } from "../../../src/avp/sanitise.ts";
import { ascii, signedByHand, unhiddenByHand } from "../../support/digest-by-hand.ts";
import { avp, hexOf, message, messageOf, octetsOfHex } from "../../support/wire.ts";

const SECRET = ascii("correct horse");
const PREVIOUS = ascii("battery staple");
const OURS = ascii("our own nonce 16");
const PEERS = ascii("nonce of peer 16");
const NOTHING = new Uint8Array(0);
const VECTOR = "00112233445566778899aabbccddeeff";

const STAND_INS: StandIns = {
  secret: (secret) => (secret.length === 0 ? secret : ascii(`stand-in of ${secret.length}`)),
  octets: (octets) => octets.map((octet) => octet ^ 0x2a),
};

const WITNESS: Witness = { secrets: [SECRET, PREVIOUS], localNonce: OURS, remoteNonce: PEERS };
const UNARMED: Witness = { secrets: [] };

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

/** A value for the eyes of who has the stand-in: exactly what the receiver of the sanitised message has. */
function standIn(octets: Uint8Array): string {
  return hexOf(STAND_INS.octets(octets));
}

function sanitise(octets: Uint8Array, ...witnesses: readonly Witness[]): string {
  return hexOf(sanitiseMessage(octets, witnesses, STAND_INS));
}

/** Index of the secret whose stand-in verifies the message. */
function verdict(octets: Uint8Array, prefix: Uint8Array, secrets: readonly Uint8Array[] = WITNESS.secrets) {
  return verifyMessage(
    octets,
    secrets.map((secret) => digestKey(STAND_INS.secret(secret))),
    prefix,
  );
}

describe("values in the clear", () => {
  test.each([
    ["a nonce", avp(73, VECTOR)],
    ["a cookie", avp(65, "0011223344556677")],
    ["a challenge", avp(11, "00112233")],
    ["a response that nobody can judge", avp(13, VECTOR)],
    ["Cisco's cookie", avp(5, "00112233", { vendorId: 9 })],
    ["Cisco's nonce", avp(13, VECTOR, { vendorId: 9 })],
    ["a PPP challenge", avp(31, VECTOR)],
    ["a PPP password", avp(33, VECTOR)],
  ])("%s is replaced in any message, and nothing else", (_, secret) => {
    const [head, tail] = [avp(7, hexOf(ascii("a-router"))), avp(66, hexOf(ascii("lan42")))];
    for (const type of [1, 10, 99]) {
      const value = secret.slice(12);
      const replaced = secret.slice(0, 12) + standIn(octetsOfHex(value));
      expect(sanitise(message(type, head, secret, tail), UNARMED)).toBe(hexOf(message(type, head, replaced, tail)));
    }
  });

  test("digests of Cisco's are replaced behind their type", () => {
    const digest = avp(12, `01${VECTOR}`, { vendorId: 9 });
    const replaced = avp(12, `01${standIn(octetsOfHex(VECTOR))}`, { vendorId: 9 });
    expect(sanitise(message(6, digest), UNARMED)).toBe(hexOf(message(6, replaced)));
  });

  test("what stands behind the end, or behind an impossible length, is replaced", () => {
    const sound = message(6);
    expect(sanitise(joined(sound, SECRET), UNARMED)).toBe(hexOf(sound) + standIn(SECRET));
    const cut = (value: string) => messageOf(avp(0, "0006") + avp(65, value, { length: 5 }));
    expect(sanitise(cut("0011223344556677"), UNARMED)).toBe(hexOf(cut(standIn(octetsOfHex("0011223344556677")))));
    const short = messageOf(`${avp(0, "0006")}8009`);
    expect(sanitise(short, UNARMED)).toBe(hexOf(short));
  });

  test("the caller's octets stay as they are, also in a Node Buffer", () => {
    const original = signedByHand(message(6, avp(65, "00112233")), 0, [SECRET], joined(PEERS, OURS));
    const buffer = Buffer.from(original);
    sanitiseMessage(buffer, [WITNESS], STAND_INS);
    expect(hexOf(buffer)).toBe(hexOf(original));
  });

  test("without a control header there is nothing to go by", () => {
    for (const octets of [NOTHING, octetsOfHex("c803000d"), octetsOfHex("c804000c0000000000000000")]) {
      expect(() => sanitiseMessage(octets, [WITNESS], STAND_INS)).toThrow(ProtocolError);
    }
  });
});

describe("digests", () => {
  const body = message(10, avp(63, "00000005"), avp(65, "0011223344556677"));
  const prefix = joined(PEERS, OURS);
  const standInPrefix = STAND_INS.octets(prefix);

  test.each([
    ["MD5", 0, [SECRET], 0],
    ["SHA-1", 1, [SECRET], 0],
    ["of the other secret", 0, [PREVIOUS], 1],
    ["two", 1, [PREVIOUS, SECRET], 0],
    ["two, of which nobody knows the first", 0, [ascii("foreign"), PREVIOUS], 1],
  ])("a right one is right for the stand-ins: %s", (_, type, secrets, index) => {
    const signed = signedByHand(body, type, secrets, prefix);
    const sanitised = sanitiseMessage(signed, [WITNESS], STAND_INS);
    expect(sanitised.length).toBe(signed.length);
    expect(verdict(sanitised, standInPrefix)).toBe(index);
    expect(verifyMessage(sanitised, WITNESS.secrets.map(digestKey), prefix)).toBe("wrong");
    expect(hexOf(sanitised)).not.toContain(hexOf(signed.subarray(27, 43)));
  });

  test.each([
    ["both nonces", WITNESS, prefix],
    ["ours alone, though the peer's is known", WITNESS, OURS],
    ["ours alone", { ...WITNESS, remoteNonce: NOTHING }, OURS],
    ["the peer's alone", WITNESS, PEERS],
    ["neither", WITNESS, NOTHING],
  ])("with %s", (_, witness, nonces) => {
    const sanitised = sanitiseMessage(signedByHand(body, 0, [SECRET], nonces), [witness], STAND_INS);
    expect(verdict(sanitised, STAND_INS.octets(nonces))).toBe(0);
    if (nonces.length > 0) expect(verdict(sanitised, NOTHING)).toBe("wrong");
  });

  test("an SCCRP is judged with the nonce that it brings", () => {
    const sccrp = message(2, avp(73, hexOf(PEERS)), avp(7, "61"), avp(60, "00000001"));
    const signed = signedByHand(sccrp, 1, [SECRET], prefix);
    const sanitised = sanitiseMessage(signed, [{ ...WITNESS, remoteNonce: NOTHING }], STAND_INS);
    expect(verdict(sanitised, standInPrefix)).toBe(0);
    expect(hexOf(sanitised)).not.toContain(hexOf(PEERS));
  });

  test("an integrity digest stays right without any secret, for strangers too", () => {
    const signed = signedByHand(body, 0, [NOTHING], NOTHING);
    for (const witnesses of [[], [UNARMED], [WITNESS]]) {
      expect(verdict(sanitiseMessage(signed, witnesses, STAND_INS), NOTHING, [NOTHING])).toBe(0);
    }
  });

  test.each([
    ["of another secret", signedByHand(body, 0, [ascii("foreign")], prefix)],
    ["of other nonces", signedByHand(body, 1, [SECRET], joined(OURS, PEERS))],
    ["of another message", messageOf(hexOf(signedByHand(body, 0, [SECRET], prefix)).slice(24) + avp(15, "00000001"))],
    ["misplaced", message(10, avp(63, "00000005"), avp(59, `00${VECTOR}`))],
    ["of an unknown type", message(10, avp(59, `07${VECTOR}`))],
    ["hidden", message(10, avp(59, `00${VECTOR}`, { hidden: true }))],
  ])("a wrong one stays wrong, and is not the same: %s", (_, forged) => {
    const sanitised = sanitiseMessage(forged, [WITNESS], STAND_INS);
    for (const nonces of [standInPrefix, STAND_INS.octets(OURS), STAND_INS.octets(PEERS), NOTHING]) {
      expect(verdict(sanitised, nonces)).toBe("wrong");
    }
    expect(hexOf(sanitised)).not.toContain(VECTOR);
    expect(hexOf(sanitised)).not.toContain(hexOf(forged.subarray(27, 43)));
  });

  test("a message that is not genuine keeps what is known and well formed, nothing else", () => {
    const unknown = avp(200, VECTOR);
    const malformed = avp(60, "0011223344");
    const host = avp(7, hexOf(ascii("a-router")));
    const kept = message(1, host, avp(200, standIn(octetsOfHex(VECTOR))), avp(60, standIn(octetsOfHex("0011223344"))));
    expect(sanitise(message(1, host, unknown, malformed), WITNESS)).toBe(hexOf(kept));
    // Those who share no secret take it, and then nothing of it may change.
    expect(sanitise(message(1, host, unknown, malformed), WITNESS, UNARMED)).toBe(
      hexOf(message(1, host, unknown, malformed)),
    );
  });

  test("the Message Type of another vendor is told before anything is verified", () => {
    const foreign = messageOf(avp(0, "0001", { vendorId: 16 }));
    expect(sanitise(foreign, WITNESS)).toBe(hexOf(foreign));
  });
});

describe("hidden AVPs", () => {
  const prefix = joined(PEERS, OURS);
  const hidden = (type: number, secret: Uint8Array, value: Uint8Array, padding: Uint8Array = NOTHING) =>
    avp(type, hexOf(hide(type, hidingKey(secret), octetsOfHex(VECTOR), value, padding)), { hidden: true });
  const endId = ascii("a Remote End ID that takes several blocks of a hash");
  const cookie = octetsOfHex("0011223344556677");

  test.each([
    ["the secret", SECRET],
    ["the previous secret", PREVIOUS],
  ])("are hidden again with the stand-in of %s", (_, secret) => {
    const avps = [hidden(66, secret, endId, ascii("pad")), hidden(65, secret, cookie)];
    const signed = signedByHand(message(10, avp(36, VECTOR), ...avps), 0, [secret], prefix);
    const sanitised = sanitiseMessage(signed, [WITNESS], STAND_INS);
    const values = unhiddenByHand(sanitised, STAND_INS.secret(secret));
    expect(hexOf(values.get(66) ?? NOTHING)).toBe(hexOf(endId));
    expect(hexOf(values.get(65) ?? NOTHING)).toBe(standIn(cookie));
    expect(hexOf(sanitised)).not.toContain(hexOf(hide(65, hidingKey(secret), octetsOfHex(VECTOR), cookie)));
  });

  test("one whose Original Length cannot be true stays malformed", () => {
    const broken = avp(66, hexOf(hide(66, hidingKey(SECRET), octetsOfHex(VECTOR), endId)).slice(0, 40), {
      hidden: true,
    });
    const signed = signedByHand(message(10, avp(36, VECTOR), broken), 0, [SECRET], prefix);
    const reason = (octets: Uint8Array, secret: Uint8Array) => {
      const decoded = decodeMessage(octets, hidingKey(secret));
      return decoded.kind === "incomplete" ? decoded.refused.map((each) => each.reason) : decoded.kind;
    };
    expect(reason(signed, SECRET)).toEqual(["wrong-length"]);
    expect(reason(sanitiseMessage(signed, [WITNESS], STAND_INS), STAND_INS.secret(SECRET))).toEqual(["wrong-length"]);
  });

  test.each([
    ["in a message that is not genuine", message(10, avp(36, VECTOR), hidden(66, SECRET, endId))],
    ["without a Random Vector", signedByHand(message(10, hidden(66, SECRET, endId)), 0, [SECRET], prefix)],
    [
      "behind a hidden Random Vector",
      signedByHand(
        message(10, avp(36, VECTOR), avp(36, VECTOR, { hidden: true }), hidden(66, SECRET, endId)),
        0,
        [SECRET],
        prefix,
      ),
    ],
  ])("what nobody can read is replaced as it stands: %s", (_, octets) => {
    const cipher = hide(66, hidingKey(SECRET), octetsOfHex(VECTOR), endId);
    const sanitised = sanitise(octets, WITNESS);
    expect(sanitised).toContain(standIn(cipher));
    expect(sanitised).not.toContain(hexOf(cipher));
  });
});

describe("Challenge Responses", () => {
  const chapPassword = ascii("of the tunnel");
  const localChallenge = octetsOfHex(VECTOR);
  const witness = { ...UNARMED, chapPassword, localChallenge };

  test.each([
    ["SCCRP", 2],
    ["SCCCN", 3],
  ])("a right one is right for the stand-ins: %s", (_, id) => {
    const response = avp(13, hexOf(challengeResponse(id, chapPassword, localChallenge)));
    const again = challengeResponse(id, STAND_INS.secret(chapPassword), STAND_INS.octets(localChallenge));
    expect(sanitise(message(id, response), witness)).toBe(hexOf(message(id, avp(13, hexOf(again)))));
    const other = id === 2 ? 3 : 2;
    const wrong = octetsOfHex(response.slice(12));
    expect(sanitise(message(other, response), witness)).toBe(hexOf(message(other, avp(13, standIn(wrong)))));
  });
});
