import { avp } from "./definition.ts";
import { octetsOf, present, uint8, uint16, uint32 } from "./format.ts";
import { record, recordWithTail } from "./record-format.ts";
import { ascii, utf8 } from "./text-format.ts";

const SECTION = "RFC 2661 4.4";

const required = { mandatory: true, hideable: true, section: SECTION };
const unhidden = { mandatory: true, hideable: false, section: SECTION };
const optional = { mandatory: false, hideable: true, section: SECTION };

/**
 * The two AVPs of RFC 2661 that still mean something, to peers that authenticate with CHAP instead of RFC 3931's digests
 * (RFC 2661 5.1.1). They are read and written by value where MESSAGES lists them, and elsewhere as good as those below.
 */
export const CHALLENGE_AVPS = {
  challenge: avp(11, octetsOf(1), required),
  challengeResponse: avp(13, octetsOf(16, 16), required),
} as const;

/**
 * AVPs of RFC 2661 (L2TPv2) that RFC 3931 does not take over. They are recognised, so that the M bit that peers set on
 * them tears nothing down (RFC 3931 4.7.3), and none of them means anything in a version 3 message.
 */
export const RFC2661_AVPS = {
  protocolVersion: avp(2, record(["version", uint8], ["revision", uint8]), unhidden),
  framingCapabilities: avp(3, uint32, required),
  bearerCapabilities: avp(4, uint32, required),
  firmwareRevision: avp(6, uint16, optional),
  assignedTunnelId: avp(9, uint16, required),
  q931CauseCode: avp(
    12,
    recordWithTail(
      [
        ["cause", uint16],
        ["causeMessage", uint8],
      ],
      ["advisory", utf8],
    ),
    unhidden,
  ),
  assignedSessionId: avp(14, uint16, required),
  minimumBps: avp(16, uint32, required),
  maximumBps: avp(17, uint32, required),
  bearerType: avp(18, uint32, required),
  framingType: avp(19, uint32, required),
  calledNumber: avp(21, ascii, required),
  callingNumber: avp(22, ascii, required),
  subAddress: avp(23, ascii, required),
  txConnectSpeedBps: avp(24, uint32, required),
  initialReceivedLcpConfreq: avp(26, octetsOf(0), optional),
  lastSentLcpConfreq: avp(27, octetsOf(0), optional),
  lastReceivedLcpConfreq: avp(28, octetsOf(0), optional),
  proxyAuthenType: avp(29, uint16, optional),
  proxyAuthenName: avp(30, octetsOf(0), optional),
  proxyAuthenChallenge: avp(31, octetsOf(0), optional),
  proxyAuthenId: avp(32, uint16, optional),
  proxyAuthenResponse: avp(33, octetsOf(0), optional),
  accm: avp(35, record(["reserved", uint16], ["sendAccm", uint32], ["receiveAccm", uint32]), required),
  privateGroupId: avp(37, octetsOf(0), optional),
  rxConnectSpeedBps: avp(38, uint32, optional),
  sequencingRequired: avp(39, present, unhidden),
} as const;
