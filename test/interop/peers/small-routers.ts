import { avp } from "../../support/wire.ts";
import { optional, type Personality, type SessionIds, text, u32 } from "./personality.ts";

/** What RFC 3931 6 requires and nothing more. */
const BARE = {
  sccrq: (hostName: string, routerId: string, ccid: number) => [
    avp(7, text(hostName)),
    avp(60, routerId),
    avp(61, u32(ccid)),
    avp(62, "0005"),
  ],
  icrq: (ids: SessionIds) => [
    avp(63, u32(ids.localSessionId)),
    avp(64, "00000000"),
    avp(15, u32(ids.localSessionId), optional),
    avp(68, "0005"),
    avp(66, ids.endId),
    avp(71, "0003"),
    ids.cookie,
  ],
  icrp: (ids: SessionIds) => [...sessionIds(ids), avp(71, "0003"), ids.cookie],
};

/** What a Yamaha RTX takes with M: the AVPs of RFC 2661 that RFC 3931 kept, and those that RFC 3931 requires. */
const YAMAHA_KNOWS = new Set("0 1 2 3 5 7 10 60 61 62 63 64 65 66 68 71".split(" "));

/** Yamaha RTX: UDP, the bare messages, Router ID 0.0.0.0, text as end id; refuses what it does not know. */
export const YAMAHA: Personality = {
  make: "Yamaha RTX",
  sccrq: ({ ccid }) => [...BARE.sccrq("rtx1210", "00000000", ccid), avp(8, text("YAMAHA Corporation"), optional)],
  sccrp: ({ ccid }) => [...BARE.sccrq("rtx1210", "00000000", ccid), avp(8, text("YAMAHA Corporation"), optional)],
  icrq: BARE.icrq,
  icrp: BARE.icrp,
  iccn: sessionIds,
  acknowledgeAfterMs: 0,
  knows: YAMAHA_KNOWS,
};

/** MikroTik RouterOS 7 `l2tp-ether`: the sublayer is on. */
export const MIKROTIK: Personality = {
  make: "MikroTik l2tp-ether",
  sccrq: ({ ccid }) => [
    ...BARE.sccrq("MikroTik", "c0a85801", ccid),
    avp(8, text("MikroTik"), optional),
    avp(10, "0004"),
  ],
  sccrp: ({ ccid }) => [
    ...BARE.sccrq("MikroTik", "c0a85801", ccid),
    avp(8, text("MikroTik"), optional),
    avp(10, "0004"),
  ],
  icrq: (ids) => [...BARE.icrq(ids), avp(69, "0001")],
  icrp: (ids) => [...BARE.icrp(ids), avp(69, "0001")],
  iccn: sessionIds,
  acknowledgeAfterMs: 0,
};

/** IIJ SEIL: takes the one Host Name and Router ID that it is told; nothing of its own. (The real one speaks IP 115 alone.) */
export const SEIL: Personality = {
  make: "IIJ SEIL",
  sccrq: ({ ccid }) => BARE.sccrq("seil-osaka", "0a000001", ccid),
  sccrp: ({ ccid }) => BARE.sccrq("seil-osaka", "0a000001", ccid),
  icrq: BARE.icrq,
  icrp: BARE.icrp,
  iccn: sessionIds,
  acknowledgeAfterMs: 0,
  expects: { 7: text("site-a"), 60: "7f4d0001" },
};

/** NEC: a cookie of 4 or 8 octets, the only AVP that it hides. */
export const NEC: Personality = {
  make: "NEC",
  sccrq: necOpening,
  sccrp: necOpening,
  icrq: BARE.icrq,
  icrp: BARE.icrp,
  iccn: sessionIds,
  acknowledgeAfterMs: 0,
};

function necOpening({ ccid }: { readonly ccid: number }): readonly string[] {
  return BARE.sccrq("ix2215", "0a000002", ccid);
}

function sessionIds(ids: SessionIds): readonly string[] {
  return [avp(63, u32(ids.localSessionId)), avp(64, u32(ids.remoteSessionId))];
}
