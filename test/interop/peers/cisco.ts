import { avp } from "../../support/wire.ts";
import { optional, type Personality, type SessionIds, text, tieBreaker, u32 } from "./personality.ts";

const v9 = (type: number, value: string, options = {}) => avp(type, value, { vendorId: 9, ...options });

/** Ethernet VLAN and port, HDLC, PPP, Frame Relay. */
const PSEUDOWIRES = "00040005000600070001";

/** IOS with `protocol l2tpv3`: RFC 3931's AVPs without M, beside those of the drafts. */
export const CISCO: Personality = {
  make: "Cisco, l2tpv3",
  sccrq: ({ ccid }) => [
    avp(2, "0100"),
    avp(3, "00000000"),
    tieBreaker(optional),
    avp(6, "1120", optional),
    ...identity("pe2"),
    avp(10, "0400"),
    avp(60, "c0a80a02", optional),
    avp(61, u32(ccid), optional),
    avp(62, PSEUDOWIRES, optional),
    ...draft(ccid),
  ],
  sccrp: ({ ccid }) => [
    avp(2, "0100"),
    avp(3, "00000000"),
    avp(6, "1120", optional),
    ...identity("pe2"),
    avp(10, "0400"),
    avp(60, "c0a80a02", optional),
    avp(61, u32(ccid), optional),
    avp(62, PSEUDOWIRES, optional),
    ...draft(ccid),
  ],
  icrq: (ids) => [
    tieBreaker(optional),
    avp(15, u32(ids.localSessionId), optional),
    avp(39, ""),
    avp(63, u32(ids.localSessionId), optional),
    avp(64, "00000000", optional),
    avp(66, ids.endId, optional),
    // Twice, as it was seen.
    avp(68, "0005", optional),
    avp(68, "0005", optional),
    avp(69, "0000", optional),
    avp(70, "0000", optional),
    avp(71, "0003", optional),
    ids.cookie,
    v9(3, u32(ids.localSessionId)),
    v9(4, "00000000"),
    v9(7, "0005"),
    v9(9, "0102030405060708"),
  ],
  icrp: (ids) => [
    ...sessionIds(ids, optional),
    avp(69, "0000", optional),
    avp(70, "0000", optional),
    avp(71, "0003", optional),
    ids.cookie,
    v9(3, u32(ids.localSessionId)),
    v9(4, u32(ids.remoteSessionId)),
    v9(8, "0003"),
  ],
  iccn: (ids) => [...sessionIds(ids, optional), v9(3, u32(ids.localSessionId)), v9(4, u32(ids.remoteSessionId))],
  acknowledgeAfterMs: 100,
};

/** IOS with `protocol l2tpv3ietf`: RFC 3931's AVPs with their M bit, and none of vendor 9. */
export const CISCO_IETF: Personality = {
  make: "Cisco, l2tpv3ietf",
  sccrq: ({ ccid }) => [tieBreaker(), ...CISCO_IETF.sccrp({ ccid })],
  sccrp: ({ ccid }) => [
    ...identity("pe2"),
    avp(10, "0400"),
    avp(60, "c0a80a02"),
    avp(61, u32(ccid)),
    avp(62, PSEUDOWIRES),
  ],
  icrq: (ids) => [
    tieBreaker(),
    avp(15, u32(ids.localSessionId), optional),
    avp(63, u32(ids.localSessionId)),
    avp(64, "00000000"),
    avp(66, ids.endId),
    avp(68, "0005"),
    avp(69, "0000"),
    avp(70, "0000"),
    avp(71, "0003"),
    ids.cookie,
  ],
  icrp: (ids) => [...sessionIds(ids), avp(71, "0003"), ids.cookie],
  iccn: (ids) => sessionIds(ids),
  acknowledgeAfterMs: 100,
};

function identity(hostName: string): readonly string[] {
  return [avp(7, text(hostName)), avp(8, text("Cisco Systems, Inc."), optional)];
}

function draft(ccid: number): readonly string[] {
  return [v9(1, u32(ccid)), v9(2, PSEUDOWIRES), v9(10, "0001"), v9(115, "00000001", optional)];
}

function sessionIds(ids: SessionIds, options = {}): readonly string[] {
  return [avp(63, u32(ids.localSessionId), options), avp(64, u32(ids.remoteSessionId), options)];
}
