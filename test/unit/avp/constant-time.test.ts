import * as crypto from "node:crypto";
import { beforeEach, expect, test, vi } from "vitest";
import { challengeResponse, isChallengeResponse } from "../../../src/avp/challenge.ts";
import { digestKey, signMessage, verifyMessage } from "../../../src/avp/digest.ts";
import { encodeMessage } from "../../../src/avp/encode.ts";

vi.mock("node:crypto", async (original) => {
  const actual = await original<typeof crypto>();
  return {
    ...actual,
    timingSafeEqual: vi.fn((one: Uint8Array, other: Uint8Array) => actual.timingSafeEqual(one, other)),
  };
});

const compared = vi.mocked(crypto.timingSafeEqual);
const ascii = (text: string) => new TextEncoder().encode(text);
const NOTHING = new Uint8Array();

beforeEach(() => {
  compared.mockClear();
});

test("D19 digests are compared by timingSafeEqual alone, whichever octet differs", () => {
  const key = digestKey(ascii("xyzzy"));
  const octets = encodeMessage(1, 0, 0, { name: "HELLO" }, { digests: ["sha1"] });
  signMessage(octets, [{ key }], NOTHING);
  expect(verifyMessage(octets, [key], NOTHING)).toBe(0);
  for (let position = 27; position < 47; position++) {
    const changed = octets.slice();
    changed[position] = (changed[position] ?? 0) ^ 1;
    compared.mockClear();
    expect(verifyMessage(changed, [key], NOTHING)).toBe("wrong");
    expect(compared).toHaveBeenCalledTimes(1);
    compared.mockReturnValueOnce(true);
    expect(verifyMessage(changed, [key], NOTHING)).toBe(0);
  }
});

test("B112 so are Challenge Responses", () => {
  const [secret, challenge] = [ascii("xyzzy"), ascii("who?")];
  const response = challengeResponse(2, secret, challenge);
  expect(isChallengeResponse(response, 2, secret, challenge)).toBe(true);
  for (let position = 0; position < 16; position++) {
    const changed = response.slice();
    changed[position] = (changed[position] ?? 0) ^ 1;
    compared.mockClear();
    expect(isChallengeResponse(changed, 2, secret, challenge)).toBe(false);
    expect(compared).toHaveBeenCalledTimes(1);
    compared.mockReturnValueOnce(true);
    expect(isChallengeResponse(changed, 2, secret, challenge)).toBe(true);
  }
  expect(isChallengeResponse(response.subarray(1), 2, secret, challenge)).toBe(false);
});
