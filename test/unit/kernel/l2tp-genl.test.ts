import { expect, test } from "vitest";
import {
  callL2tp,
  decodeL2tpNews,
  encodeL2tpCall,
  type L2tpCall,
  resolveFamily,
} from "../../../src/kernel/l2tp-genl.ts";
import { encodeAttributes, encodeRequests, parseReplies, u32, u64 } from "../../../src/kernel/netlink-messages.ts";
import type { NetlinkAnswer } from "../../../src/kernel/netlink-socket.ts";

const FAMILY = 0x1d;

function octetsOf(call: L2tpCall): string {
  return encodeRequests([encodeL2tpCall(FAMILY, call)], 0x0a0b0c0d).toString("hex");
}

/** A hand-written message: comments are not octets, spaces neither. */
function hex(text: string): string {
  return text.replaceAll(/#.*|\s/g, "");
}

test("TUNNEL_CREATE, octet by octet", () => {
  const attributes = { connectionId: 0x01020304, peerConnectionId: 5, protocolVersion: 3, encapsulation: 0, fd: 21 };
  const expected = hex(`
    3c000000 1d00 0100 0d0c0b0a 00000000 # nlmsghdr: 60 octets, family, NLM_F_REQUEST, sequence, port
    01 01 0000                           # genlmsghdr: L2TP_CMD_TUNNEL_CREATE, version 1
    0800 0900 04030201                   # L2TP_ATTR_CONN_ID
    0800 0a00 05000000                   # L2TP_ATTR_PEER_CONN_ID
    0500 0700 03 000000                  # L2TP_ATTR_PROTO_VERSION, padded
    0600 0200 0000 0000                  # L2TP_ATTR_ENCAP_TYPE: UDP, padded
    0800 1700 15000000                   # L2TP_ATTR_FD
  `);
  expect(octetsOf({ command: "L2TP_CMD_TUNNEL_CREATE", attributes })).toBe(expected);
});

test("SESSION_CREATE, octet by octet", () => {
  const attributes = {
    connectionId: 7,
    sessionId: 0xfffefdfc,
    peerSessionId: 9,
    pseudowireType: 5,
    l2SublayerType: 1,
    receiveSequencing: 1,
    sendSequencing: 1,
    lnsMode: 1,
    reorderTimeout: 0x1122n,
    cookie: Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]),
    peerCookie: Uint8Array.from([9, 8, 7, 6]),
    interfaceName: "l2-1",
  };
  const expected = hex(`
    80000000 1d00 0100 0d0c0b0a 00000000 # nlmsghdr: 128 octets
    05 01 0000                           # genlmsghdr: L2TP_CMD_SESSION_CREATE, version 1
    0800 0900 07000000                   # L2TP_ATTR_CONN_ID
    0800 0b00 fcfdfeff                   # L2TP_ATTR_SESSION_ID
    0800 0c00 09000000                   # L2TP_ATTR_PEER_SESSION_ID
    0600 0100 0500 0000                  # L2TP_ATTR_PW_TYPE: Ethernet
    0500 0500 01 000000                  # L2TP_ATTR_L2SPEC_TYPE: default
    0500 1200 01 000000                  # L2TP_ATTR_RECV_SEQ
    0500 1300 01 000000                  # L2TP_ATTR_SEND_SEQ
    0500 1400 01 000000                  # L2TP_ATTR_LNS_MODE
    0c00 1600 2211000000000000           # L2TP_ATTR_RECV_TIMEOUT: milliseconds
    0c00 0f00 0102030405060708           # L2TP_ATTR_COOKIE: in network order as it is
    0800 1000 09080706                   # L2TP_ATTR_PEER_COOKIE
    0900 0800 6c322d31 00 000000         # L2TP_ATTR_IFNAME with its NUL, padded
  `);
  expect(octetsOf({ command: "L2TP_CMD_SESSION_CREATE", attributes })).toBe(expected);
});

test("several requests stand in one datagram and are numbered upwards", () => {
  const call = encodeL2tpCall(FAMILY, { command: "L2TP_CMD_TUNNEL_DELETE", attributes: { connectionId: 1 } });
  const datagram = encodeRequests([call, call, call], 100);
  expect(datagram.length).toBe(3 * 28);
  expect([0, 28, 56].map((at) => datagram.readUInt32LE(at + 8))).toEqual([100, 101, 102]);
});

test("a session's counters come out of the nested attribute, unknown attributes are skipped", () => {
  const statistics = { sentPackets: [1, u64], receivedPackets: [4, u64], receiveErrors: [8, u64] } as const;
  const inner = encodeAttributes(statistics, { sentPackets: 3n, receivedPackets: 2n ** 40n, receiveErrors: 1n });
  const known = encodeAttributes({ session: [11, u32], unknown: [99, u32] } as const, { session: 5, unknown: 1 });
  const nest = Buffer.alloc(4);
  nest.writeUInt16LE(4 + inner.length, 0);
  nest.writeUInt16LE(0x8000 | 30, 2);
  const message = Buffer.concat([Buffer.from([8, 1, 0, 0]), known, nest, inner]);
  const exchange = (): NetlinkAnswer[] => [{ errno: "", extendedAck: "", messages: [message] }];
  const [answer] = callL2tp(exchange, FAMILY, [{ command: "L2TP_CMD_SESSION_GET", attributes: { sessionId: 5 } }]);
  expect(answer?.found).toEqual([
    { sessionId: 5, statistics: { sentPackets: 3n, receivedPackets: 2n ** 40n, receiveErrors: 1n } },
  ]);
});

test("a family is found by its name, or not", () => {
  const message = Buffer.from(hex("01 02 0000 0600 0100 1d00 0000 0900 0200 6c327470 00 000000"), "hex");
  const found = resolveFamily(([request]) => {
    expect(request).toMatchObject({ type: 16 });
    expect(Buffer.concat(request?.payload ?? []).toString("hex")).toBe(hex("03 01 0000 0900 0200 6c327470 00 000000"));
    return [{ errno: "", extendedAck: "", messages: [message] }];
  }, "l2tp");
  expect(found).toEqual({ id: FAMILY, eventGroup: undefined });
  expect(resolveFamily(() => [{ errno: "ENOENT", extendedAck: "", messages: [] }], "l2tp")).toBeUndefined();
});

test("a deletion is announced with the ids of both ends", () => {
  const family = { id: FAMILY, eventGroup: 4 };
  const tunnel = Buffer.from(hex("02 01 0000 0500 0700 03 000000 0800 0900 07000000 0800 0a00 08000000"), "hex");
  const news = { type: "tunnel-deleted", connectionId: 7, peerConnectionId: 8 };
  expect(decodeL2tpNews(family, { type: FAMILY, octets: tunnel })).toEqual(news);
  // As Linux sends it.
  const session = Buffer.from(
    hex(`
      06 01 0000             # genlmsghdr: L2TP_CMD_SESSION_DELETE, version 1
      0800 0900 07000000     # L2TP_ATTR_CONN_ID
      0800 0b00 01000000     # L2TP_ATTR_SESSION_ID
      0800 0a00 08000000     # L2TP_ATTR_PEER_CONN_ID
      0800 0c00 e9030000     # L2TP_ATTR_PEER_SESSION_ID
      0800 1100 00000000     # L2TP_ATTR_DEBUG
      0600 0100 0500 0000    # L2TP_ATTR_PW_TYPE
    `),
    "hex",
  );
  const ids = { connectionId: 7, peerConnectionId: 8, sessionId: 1, peerSessionId: 1_001 };
  expect(decodeL2tpNews(family, { type: FAMILY, octets: session })).toEqual({ type: "session-deleted", ...ids });
  expect(decodeL2tpNews(family, { type: FAMILY + 1, octets: session })).toBeUndefined();
  expect(decodeL2tpNews(family, { type: FAMILY, octets: Buffer.from("05010000", "hex") })).toBeUndefined();
});

test("an acknowledgement, and an error with the kernel's words", () => {
  const request = "24000000 1d00 0500 05000000 00000000";
  const error = (flags: string, errno: string, tail: string) => {
    const body = hex(`0200 ${flags} 05000000 00000000 ${errno} ${request} ${tail}`);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(4 + body.length / 2);
    return Buffer.concat([length, Buffer.from(body, "hex")]);
  };
  expect(parseReplies(error("0001", "00000000", ""))).toEqual([
    { kind: "end", sequence: 5, errno: 0, extendedAck: "" },
  ]);
  const text = "device is missing";
  const attribute = Buffer.concat([Buffer.from("16000100", "hex"), Buffer.from(`${text}\0`), Buffer.alloc(2)]);
  const capped = error("0003", "edffffff", attribute.toString("hex"));
  expect(parseReplies(capped)).toEqual([{ kind: "end", sequence: 5, errno: 19, extendedAck: text }]);
  // Not capped: the whole request of 36 octets stands between the error number and the words.
  const echoed = error("0002", "edffffff", `${"00".repeat(20)}${attribute.toString("hex")}`);
  expect(parseReplies(echoed)).toEqual([{ kind: "end", sequence: 5, errno: 19, extendedAck: text }]);
});
