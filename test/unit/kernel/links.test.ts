import { expect, test } from "vitest";
import { callLinks, encodeLinkCall, type LinkCall } from "../../../src/kernel/links.ts";
import { encodeAttributes, nested, text, u32 } from "../../../src/kernel/netlink-messages.ts";

function hex(words: string): string {
  return words.replaceAll(/#.*|\s/g, "");
}

const NAME = "0900 0300 6c322d31 00 000000"; // IFLA_IFNAME "l2-1"

const CALLS: readonly (readonly [LinkCall, number, string])[] = [
  [{ command: "RTM_SETLINK", name: "l2-1", mtu: 1400 }, 19, `${"00".repeat(16)} ${NAME} 0800 0400 78050000`],
  [{ command: "RTM_SETLINK", name: "l2-1", master: 6 }, 19, `${"00".repeat(16)} ${NAME} 0800 0a00 06000000`],
  // ifi_flags and ifi_change: IFF_UP.
  [{ command: "RTM_SETLINK", name: "l2-1", up: true }, 19, `00000000 00000000 01000000 01000000 ${NAME}`],
  [{ command: "RTM_SETLINK", name: "l2-1", up: false }, 19, `00000000 00000000 00000000 01000000 ${NAME}`],
  [{ command: "RTM_GETLINK", name: "l2-1" }, 18, `${"00".repeat(16)} ${NAME} 0800 1d00 08000000`],
  // Family, prefix length, flags, scope, index; IFA_LOCAL and IFA_ADDRESS.
  [
    { command: "RTM_NEWADDR", index: 3, address: "10.0.0.1/30" },
    20,
    "02 1e 00 00 03000000 0800 0200 0a000001 0800 0100 0a000001",
  ],
  [
    { command: "RTM_NEWADDR", index: 3, address: "2001:db8::1/64" },
    20,
    `0a 40 00 00 03000000 1400 0200 20010db8${"00".repeat(11)}01 1400 0100 20010db8${"00".repeat(11)}01`,
  ],
  // Family, lengths of destination and source, TOS, table, protocol, scope, type; RTM_F_LOOKUP_TABLE, RTM_F_FIB_MATCH; RTA_DST.
  [{ command: "RTM_GETROUTE", destination: "10.52.0.0/16" }, 26, "02200000 00000000 00300000 0800 0100 0a348000"],
  [
    { command: "RTM_GETROUTE", destination: "0.0.0.0/0 via 10.0.0.2" },
    26,
    "02200000 00000000 00300000 0800 0100 80000000",
  ],
  [{ command: "RTM_GETROUTE", destination: "10.1.2.3/32" }, 26, "02200000 00000000 00300000 0800 0100 0a010203"],
  [{ command: "RTM_GETROUTE", destination: "10.1.2.2/31" }, 26, "02200000 00000000 00300000 0800 0100 0a010203"],
  [
    { command: "RTM_GETROUTE", destination: "2001:db8::/32" },
    26,
    `0a800000 00000000 00300000 1400 0100 20010db88000${"00".repeat(10)}`,
  ],
];

test.each(CALLS)("%o", (call, type, payload) => {
  const request = encodeLinkCall(call);
  expect(request).toMatchObject({ type, flags: 0 });
  expect(Buffer.concat(request.payload).toString("hex")).toBe(hex(payload));
});

test("a link is read from the kernel's answer", () => {
  const header = Buffer.from(hex("00 00 0100 05000000 41000000 00000000"), "hex");
  const table = {
    name: [3, text],
    mtu: [4, u32],
    master: [10, u32],
    information: [18, nested({ kind: [1, text] } as const)],
  } as const;
  const values = { name: "l2-1", mtu: 1446, master: 2, information: { kind: "dummy" } };
  const attributes = encodeAttributes(table, values);
  // IFLA_LINKINFO carries NLA_F_NESTED.
  expect(attributes.subarray(-16).toString("hex")).toBe(hex("1000 1280 0a00 0100 64756d6d79000000"));
  const message = Buffer.concat([header, attributes]);
  const answers = callLinks(
    () => [
      { errno: "", extendedAck: "", messages: [message] },
      { errno: "ENODEV", extendedAck: "", messages: [] },
    ],
    [
      { command: "RTM_GETLINK", name: "l2-1" },
      { command: "RTM_GETLINK", name: "l2-2" },
    ],
  );
  expect(answers).toEqual([
    {
      errno: "",
      extendedAck: "",
      link: { index: 5, name: "l2-1", up: true, mtu: 1446, master: 2, kind: "dummy", alias: "", isolated: false },
    },
    { errno: "ENODEV", extendedAck: "", link: undefined },
  ]);
});

test("a route is read from the kernel's answer", () => {
  const attributes = encodeAttributes({ destination: [1, u32], index: [4, u32] } as const, {
    destination: 1,
    index: 9,
  });
  const message = Buffer.concat([Buffer.from(hex("02100000 fe030001 00000000"), "hex"), attributes]);
  const exchange = () => [{ errno: "", extendedAck: "", messages: [message] }];
  const [answer] = callLinks(exchange, [{ command: "RTM_GETROUTE", destination: "10.52.0.0/16" }]);
  expect(answer).toEqual({
    errno: "",
    extendedAck: "",
    link: undefined,
    route: { index: 9, prefixLength: 16, table: 254 },
  });
});
