import { circuitErrors } from "./circuit-errors.ts";
import { avp, repeatableAvp } from "./definition.ts";
import { cookie, flags16, listOf, octetsOf, oneOf, uint16, uint16In, uint32, uint32NonZero, uint64 } from "./format.ts";
import { messageDigest, recordWithTail, resultCode } from "./record-format.ts";
import { ascii, asciiNonEmpty } from "./text-format.ts";

const GENERAL = "RFC 3931 5.4.1";
const RESULT = "RFC 3931 5.4.2";
const CONTROL_CONNECTION = "RFC 3931 5.4.3";
const SESSION = "RFC 3931 5.4.4";
const CIRCUIT = "RFC 3931 5.4.5";

/** Active, New (RFC 3931 5.4.5) and the five that RFC 5641 2 added. */
const CIRCUIT_STATUS_BITS = 0x007f;

const mandatory = true;
const hideable = true;
const optional = { mandatory: false, hideable: true };

/**
 * The AVPs of RFC 3931 5.4. Those that RFC 3931 5.3 lets nobody hide are `hideable: false`.
 * Which messages they belong to, says MESSAGES.
 */
export const RFC3931_AVPS = {
  messageType: avp(0, uint16, { mandatory, hideable: false, section: GENERAL }),
  resultCode: avp(1, resultCode, { mandatory, hideable: false, section: RESULT }),
  /**
   * Control Connection Tie Breaker in SCCRQ, Session Tie Breaker in ICRQ and OCRQ: 8 octets, of which the lower unsigned
   * number in network order wins.
   */
  tieBreaker: avp(5, octetsOf(8, 8), { mandatory, hideable: false, section: CONTROL_CONNECTION }),
  hostName: avp(7, asciiNonEmpty, { mandatory, hideable: false, section: CONTROL_CONNECTION }),
  vendorName: avp(8, ascii, { ...optional, section: CONTROL_CONNECTION }),
  receiveWindowSize: avp(10, uint16In({ min: 1 }), { mandatory, hideable: false, section: CONTROL_CONNECTION }),
  serialNumber: avp(15, uint32, { ...optional, section: SESSION }),
  physicalChannelId: avp(25, uint32, { ...optional, section: SESSION }),
  circuitErrors: avp(34, circuitErrors, { ...optional, section: CIRCUIT }),
  randomVector: avp(36, octetsOf(1), { mandatory, hideable: false, section: GENERAL }),
  extendedVendorId: repeatableAvp(
    58,
    recordWithTail(
      [
        ["vendorId", uint32],
        ["type", uint16],
      ],
      ["octets", octetsOf(0)],
    ),
    { ...optional, section: "RFC 3931 5.1" },
  ),
  messageDigest: repeatableAvp(59, messageDigest, { mandatory, hideable: false, section: GENERAL }),
  routerId: avp(60, uint32, { mandatory, hideable: false, section: CONTROL_CONNECTION }),
  assignedControlConnectionId: avp(61, uint32NonZero, { mandatory, hideable, section: CONTROL_CONNECTION }),
  pseudowireCapabilitiesList: avp(62, listOf(uint16, 1), { mandatory, hideable, section: CONTROL_CONNECTION }),
  localSessionId: avp(63, uint32NonZero, { mandatory, hideable, section: SESSION }),
  /** 0 only while the peer's id is not known. */
  remoteSessionId: avp(64, uint32, { mandatory, hideable, section: SESSION }),
  assignedCookie: avp(65, cookie, { mandatory, hideable, section: SESSION }),
  remoteEndId: avp(66, octetsOf(0), { mandatory, hideable, section: SESSION }),
  pseudowireType: avp(68, uint16, { mandatory, hideable, section: SESSION }),
  /** Any number decodes: one that is not supported calls for a CDN, not for "malformed". */
  l2SpecificSublayer: avp(69, uint16, { mandatory, hideable, section: SESSION }),
  /** 0 none, 1 non-IP frames, 2 all frames. */
  dataSequencing: avp(70, oneOf(uint16, [0, 1, 2]), { mandatory, hideable, section: SESSION }),
  circuitStatus: avp(71, flags16(CIRCUIT_STATUS_BITS), { mandatory, hideable, section: CIRCUIT }),
  preferredLanguage: avp(72, asciiNonEmpty, { ...optional, section: CONTROL_CONNECTION }),
  controlMessageAuthenticationNonce: avp(73, octetsOf(1), {
    mandatory,
    hideable: false,
    section: CONTROL_CONNECTION,
  }),
  /** Bits per second from the LAC's point of view; 0 is unknown. */
  txConnectSpeed: avp(74, uint64, { ...optional, section: SESSION }),
  rxConnectSpeed: avp(75, uint64, { ...optional, section: SESSION }),
} as const;
