import { expectTypeOf, test } from "vitest";
import type { DecodedMessage } from "../../../src/avp/decode.ts";
import type { ControlMessage, MessageName } from "../../../src/avp/messages.ts";
import type { AvpName, AvpValue } from "../../../src/avp/registry.ts";

// The type checker proves these; at run time they do nothing.

test("the value of an AVP follows from its format", () => {
  expectTypeOf<AvpValue<"hostName">>().toEqualTypeOf<string>();
  expectTypeOf<AvpValue<"routerId">>().toEqualTypeOf<number>();
  expectTypeOf<AvpValue<"txConnectSpeed">>().toEqualTypeOf<bigint>();
  expectTypeOf<AvpValue<"assignedCookie">>().toEqualTypeOf<Uint8Array>();
  expectTypeOf<AvpValue<"pseudowireCapabilitiesList">>().toEqualTypeOf<readonly number[]>();
  expectTypeOf<AvpValue<"dataSequencing">>().toEqualTypeOf<number>();
  expectTypeOf<AvpValue<"ecnCapability">>().toEqualTypeOf<true>();
  expectTypeOf<AvpValue<"suggestedControlSequence">>().toEqualTypeOf<{ readonly ns: number; readonly nr: number }>();
  expectTypeOf<AvpValue<"vccvCapability">>().toEqualTypeOf<{
    readonly controlChannelTypes: number;
    readonly connectivityVerificationTypes: number;
  }>();
});

test("a repeatable AVP is a list", () => {
  expectTypeOf<AvpValue<"extendedVendorId">>().toEqualTypeOf<
    readonly { readonly vendorId: number; readonly type: number; readonly octets: Uint8Array }[]
  >();
});

test("no AVP is without a value type", () => {
  type Untyped = {
    [N in AvpName]: [AvpValue<N>] extends [never] ? N : unknown extends AvpValue<N> ? N : never;
  }[AvpName];
  expectTypeOf<Untyped>().toEqualTypeOf<never>();
});

test("required AVPs are always there, allowed ones may be, others are not", () => {
  expectTypeOf<ControlMessage<"SCCRP">["hostName"]>().toEqualTypeOf<string>();
  expectTypeOf<ControlMessage<"SCCRP">["receiveWindowSize"]>().toEqualTypeOf<number | undefined>();
  expectTypeOf<ControlMessage<"SCCCN">>().not.toHaveProperty("hostName");
  expectTypeOf<ControlMessage<"SCCRP">>().not.toHaveProperty("tieBreaker");
  expectTypeOf<ControlMessage<"ICRQ">["remoteEndId"]>().toEqualTypeOf<Uint8Array>();
  expectTypeOf<ControlMessage<"StopCCN">["assignedControlConnectionId"]>().toEqualTypeOf<number | undefined>();
  expectTypeOf<ControlMessage<"CDN">["localSessionId"]>().toEqualTypeOf<number>();
});

test("an optional AVP is left out, not given as undefined", () => {
  expectTypeOf<{ name: "HELLO" }>().toExtend<ControlMessage<"HELLO">>();
  expectTypeOf<{ name: "HELLO"; extendedVendorId: undefined }>().not.toExtend<ControlMessage<"HELLO">>();
  expectTypeOf<{ name: "StopCCN" }>().not.toExtend<ControlMessage<"StopCCN">>();
});

test("a message is narrowed by its name", () => {
  const routerOf = (message: ControlMessage) => (message.name === "SCCRQ" ? message.routerId : undefined);
  expectTypeOf(routerOf).returns.toEqualTypeOf<number | undefined>();
  expectTypeOf<ControlMessage["name"]>().toEqualTypeOf<MessageName>();
});

test("what was decoded is narrowed by its kind", () => {
  expectTypeOf<Extract<DecodedMessage, { kind: "incomplete" }>["missing"]>().toEqualTypeOf<readonly AvpName[]>();
  expectTypeOf<Extract<DecodedMessage, { kind: "zlb" }>>().not.toHaveProperty("message");
});
