import { describe, expect, test } from "vitest";
import { challengeResponse } from "../../src/avp/challenge.ts";
import { decodeMessage } from "../../src/avp/decode.ts";
import { encodeMessage } from "../../src/avp/encode.ts";
import { avp, hexOf, message, octetsOfHex } from "../support/wire.ts";

const SECRET = new TextEncoder().encode("cisco123");
const CHALLENGE = "000102030405060708090a0b0c0d0e0f";
const RESPONSE = "b74c91dec3cdf0435a9936045e9bed76";
const OPENING = [avp(7, "61"), avp(60, "00000001"), avp(61, "00000002"), avp(62, "0005")];

describe("the response", () => {
  test.each([
    ["SCCRP", 2, RESPONSE],
    ["SCCCN", 3, "45cd4428467c66ff4d6f8a7aa1a6619a"],
  ])("B112: is MD5 over the type of the message that carries it, secret and challenge: %s", (_, id, response) => {
    expect(hexOf(challengeResponse(id, SECRET, octetsOfHex(CHALLENGE)))).toBe(response);
  });

  test.each([-1, 256, 0.5])("B112: an id of %d is none", (id) => {
    expect(() => challengeResponse(id, SECRET, octetsOfHex(CHALLENGE))).toThrow(RangeError);
  });
});

describe("the AVPs", () => {
  test.each([
    ["SCCRQ", message(1, ...OPENING, avp(11, CHALLENGE)), { challenge: octetsOfHex(CHALLENGE) }],
    [
      "SCCRP",
      message(2, ...OPENING, avp(11, CHALLENGE), avp(13, RESPONSE)),
      { challenge: octetsOfHex(CHALLENGE), challengeResponse: octetsOfHex(RESPONSE) },
    ],
    ["SCCCN", message(3, avp(13, RESPONSE)), { challengeResponse: octetsOfHex(RESPONSE) }],
  ])("B112: are read and written in an %s", (_, octets, values) => {
    const decoded = decodeMessage(octets);
    if (decoded.kind !== "message") throw new Error(`decoded as ${decoded.kind}`);
    expect(decoded).toMatchObject({ message: values, refused: [], ignored: [], recognised: [] });
    expect(hexOf(encodeMessage(0x0102_0304, 2, 3, decoded.message))).toBe(hexOf(octets));
  });

  test.each([
    ["in a message that has no use for them", message(10, avp(11, CHALLENGE), avp(13, RESPONSE)), [11, 13]],
    ["of a wrong length", message(2, ...OPENING, avp(11, ""), avp(13, RESPONSE.slice(2))), [11, 13]],
    ["hidden", message(1, ...OPENING, avp(11, CHALLENGE, { hidden: true })), [11]],
    ["given twice", message(1, ...OPENING, avp(11, CHALLENGE), avp(11, "01")), [11]],
  ])("B07, B111, B112: refuse nothing, M set as it is: %s", (_, octets, types) => {
    const decoded = decodeMessage(octets);
    if (decoded.kind !== "message" && decoded.kind !== "incomplete") throw new Error(`decoded as ${decoded.kind}`);
    expect(decoded.refused).toEqual([]);
    expect(decoded.ignored).toEqual([]);
    expect(decoded.recognised.map(({ type }) => type)).toEqual(types);
  });

  test("B112: are sent only where they belong", () => {
    const misplaced = { name: "HELLO", challenge: octetsOfHex(CHALLENGE) } as const;
    expect(() => encodeMessage(1, 0, 0, misplaced as never)).toThrow("HELLO with challenge");
    const short = { name: "SCCCN", challengeResponse: octetsOfHex("00") } as const;
    expect(() => encodeMessage(1, 0, 0, short)).toThrow(RangeError);
  });
});
