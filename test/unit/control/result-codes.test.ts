import { describe, expect, test } from "vitest";
import { because, describeResult, ERROR, generalError } from "../../../src/control/result-codes.ts";

describe("results in words", () => {
  test.each([
    ["StopCCN", { result: 1 }, "general request to clear the control connection (result 1)"],
    ["StopCCN", { result: 1, message: "so" }, "so (result 1: general request to clear the control connection)"],
    ["CDN", { result: 1 }, "carrier lost or circuit disconnected (result 1)"],
    ["StopCCN", { result: 3 }, "a control connection exists already (result 3)"],
    ["CDN", { result: 3 }, "administrative reasons (result 3)"],
    ["CDN", { result: 13, error: 0 }, "the session lost a tie (result 13)"],
    ["CDN", { result: 3, error: 0, message: "closed" }, "administrative reasons (result 3): closed"],
    ["StopCCN", { result: 2, error: 8, message: "" }, "an unknown AVP had its M bit set (result 2, error 8)"],
    ["CDN", { result: 2, error: 4, message: "EEXIST" }, "not enough resources now (result 2, error 4): EEXIST"],
    ["CDN", { result: 2, error: 999 }, "general error (result 2, error 999)"],
    // G01: elsewhere an error code is no error, or one of another kind.
    ["CDN", { result: 3, error: 4 }, "administrative reasons (result 3, error 4)"],
    ["CDN", { result: 30, error: 1 }, "the TDM parameters are not acceptable (result 30, error 1)"],
    ["CDN", { result: 5, error: 3 }, "facilities are permanently not available (result 5, error 3)"],
    [
      "StopCCN",
      { result: 5, error: 3 },
      "the protocol version is not supported, 3 is the highest that the peer speaks (result 5, error 3)",
    ],
    ["StopCCN", { result: 4711 }, "unknown result code (result 4711)"],
    // What SoftEther sends: a Result Code of 0 with an error that nobody knows, and zeros for a text.
    ["StopCCN", { result: 0, error: 0x600, message: "\0\0\0\0" }, "reserved result code (result 0, error 1536)"],
    ["CDN", { result: 3, error: 0, message: "closed\0" }, "administrative reasons (result 3): closed"],
  ] as const)("%s %o: %s", (message, result, words) => {
    expect(describeResult(message, result)).toBe(words);
  });

  test("no result code at all", () => {
    expect(describeResult("StopCCN", undefined)).toBe("no result code given");
  });
});

describe("results to send", () => {
  test("G01 an error code stands beside result 2; elsewhere it is 0 and only makes room for the text", () => {
    expect(generalError(ERROR.unknownMandatoryAvp, "text")).toEqual({ result: 2, error: 8, message: "text" });
    expect(because(6, "text")).toEqual({ result: 6, error: 0, message: "text" });
  });

  test("a text that is too long for an AVP is cut", () => {
    const long = "x".repeat(5_000);
    expect(because(1, long).message?.length).toBe(250);
    expect(generalError(4, long).message?.length).toBe(250);
  });
});

test("a peer's text cannot steer a terminal or break a line", () => {
  const turned = describeResult("CDN", { result: 3, message: "a\u202eb\u2028c\u2029d\u0085e" });
  expect(turned.endsWith(": a?b?c?d?e")).toBe(true);
  expect(describeResult("CDN", { result: 3, message: "gone\u001b[2J\r\n" })).toBe(
    "administrative reasons (result 3): gone?[2J??",
  );
});
