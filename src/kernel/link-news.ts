import { decodeAttributes, encodeAttributes, type NetlinkRequest, octets, text } from "./netlink-messages.ts";

/** What rtnetlink tells of network interfaces, asked or not (rtnetlink(7), group RTNLGRP_LINK). */

const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
const INTERFACE_HEADER_LENGTH = 16;
const IFF_UP = 0x1;
const IFF_LOWER_UP = 0x1_0000;
const ATTRIBUTES = { name: [3, text], statistics: [23, octets] } as const;

/** "down": set down, or there is none; "no-carrier": set up, but nothing is connected. */
export type LinkCondition = "up" | "no-carrier" | "down";

/** Errors in receiving and sending, by the kinds that L2TP knows (RFC 3931 5.4.5). */
export interface LinkErrors {
  readonly hardwareOverruns: number;
  readonly bufferOverruns: number;
  readonly timeouts: number;
  readonly alignments: number;
}

export interface ObservedLink {
  readonly index: number;
  readonly name: string;
  readonly condition: LinkCondition;
  /** Since the interface was made, as its driver counts. */
  readonly errors: LinkErrors;
}

export type LinkNews =
  | { readonly type: "link"; readonly link: ObservedLink }
  | { readonly type: "gone"; readonly index: number };

/** The name alone finds the interface: no index has to be known. */
export function linkQuestion(name: string): NetlinkRequest {
  const attributes = encodeAttributes({ name: ATTRIBUTES.name }, { name });
  return { type: RTM_GETLINK, flags: 0, payload: [Buffer.alloc(INTERFACE_HEADER_LENGTH), attributes] };
}

/** `type` and body of a netlink message; `undefined` for what is no news of an interface. */
export function decodeLinkNews(type: number, message: Buffer): LinkNews | undefined {
  // A bridge tells of its ports with the same messages, in a family of its own: DELLINK is then a port's leaving.
  const family = message[0];
  if (family !== 0 || message.length < INTERFACE_HEADER_LENGTH) return undefined;
  const index = message.readInt32LE(4);
  if (type === RTM_DELLINK) return { type: "gone", index };
  if (type !== RTM_NEWLINK) return undefined;
  const { name = "", statistics } = decodeAttributes(ATTRIBUTES, message.subarray(INTERFACE_HEADER_LENGTH));
  const link = { index, name, condition: conditionOf(message.readUInt32LE(8)), errors: errorsOf(statistics) };
  return { type: "link", link };
}

function conditionOf(flags: number): LinkCondition {
  if ((flags & IFF_UP) === 0) return "down";
  return (flags & IFF_LOWER_UP) === 0 ? "no-carrier" : "up";
}

/** Places in struct rtnl_link_stats64, an array of unsigned 64-bit numbers (linux/if_link.h). */
const RX_OVER_ERRORS = 11;
const RX_FRAME_ERRORS = 13;
const RX_FIFO_ERRORS = 14;
const RX_MISSED_ERRORS = 15;
const TX_HEARTBEAT_ERRORS = 19;

/**
 * Drivers use rx_over_errors or rx_fifo_errors for frames that the receiver's own memory had no room for, and
 * rx_missed_errors for those that the host had no buffer for. Of what did not come in time Linux counts only the missing
 * heartbeats of transceivers (SQE test); tx_aborted_errors, which sounds like it, counts collisions, and drivers of fast
 * interfaces put whatever they discard there. Frames that end within an octet are rx_frame_errors.
 */
function errorsOf(statistics: Uint8Array | undefined): LinkErrors {
  const counters = Buffer.from(statistics ?? []);
  const at = (place: number) =>
    counters.length < 8 * (place + 1) ? 0 : Number(counters.readBigUInt64LE(8 * place) & 0xffff_ffff_ffffn);
  return {
    hardwareOverruns: at(RX_OVER_ERRORS) + at(RX_FIFO_ERRORS),
    bufferOverruns: at(RX_MISSED_ERRORS),
    timeouts: at(TX_HEARTBEAT_ERRORS),
    alignments: at(RX_FRAME_ERRORS),
  };
}
