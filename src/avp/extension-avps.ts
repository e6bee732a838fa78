import { avp, repeatableAvp } from "./definition.ts";
import { flags16, listOf, octetsOf, oneOf, present, uint8, uint16, uint16In, uint32, uint64 } from "./format.ts";
import { record, recordWithTail } from "./record-format.ts";
import { utf8 } from "./text-format.ts";

/** What nearly all of them have in common. */
const optional = { mandatory: false, hideable: true };

/** AVPs that later RFCs added to vendor 0. Which messages they belong to, says MESSAGES. */
export const EXTENSION_AVPS = {
  rxMinimumBps: avp(40, uint32, { ...optional, section: "RFC 3301" }),
  rxMaximumBps: avp(41, uint32, { ...optional, section: "RFC 3301" }),
  serviceCategory: avp(42, uint16, { ...optional, section: "RFC 3301" }),
  serviceName: avp(43, octetsOf(0), { ...optional, section: "RFC 3301" }),
  callingSubAddress: avp(44, octetsOf(20, 20), { ...optional, section: "RFC 3301" }),
  vpiVciIdentifier: avp(45, record(["vpi", uint16], ["vci", uint16]), { ...optional, section: "RFC 3301" }),
  pppDisconnectCauseCode: avp(
    46,
    recordWithTail(
      [
        ["code", uint16],
        ["controlProtocol", uint16],
        ["direction", uint8],
      ],
      ["message", utf8],
    ),
    { ...optional, section: "RFC 3145" },
  ),
  /** Per-hop behaviour code that the control connection shall have. */
  controlConnectionDs: avp(47, uint16, { ...optional, section: "RFC 3308" }),
  sessionDs: avp(48, uint16, { ...optional, section: "RFC 3308" }),
  modemOnHoldCapable: avp(53, present, { ...optional, section: "RFC 3573" }),
  /** 0x8000: on hold; the low four bits are the timeout code. */
  modemOnHoldStatus: avp(54, flags16(0x800f), { ...optional, section: "RFC 3573" }),
  /** Flags: 1 the control channel, 2 the data channel can recover. Without either the AVP says nothing legal. */
  failoverCapability: avp(76, record(["flags", uint16In({ min: 1 })], ["recoveryTimeMs", uint32]), {
    ...optional,
    section: "RFC 4951 5.1",
  }),
  tunnelRecovery: avp(
    77,
    record(["reserved", uint16], ["localControlConnectionId", uint32], ["remoteControlConnectionId", uint32]),
    { mandatory: true, hideable: false, section: "RFC 4951 5.2" },
  ),
  suggestedControlSequence: avp(78, record(["reserved", uint16], ["ns", uint16], ["nr", uint16]), {
    ...optional,
    section: "RFC 4951 5.3",
  }),
  failoverSessionState: repeatableAvp(
    79,
    record(["reserved", uint16], ["sessionId", uint32], ["remoteSessionId", uint32]),
    { mandatory: true, hideable: true, section: "RFC 4951 5.4" },
  ),
  /** Octets; 2 where the AVP is absent. */
  frameRelayHeaderLength: avp(85, oneOf(uint16, [2, 4]), { ...optional, section: "RFC 4591" }),
  atmMaximumConcatenatedCells: avp(86, uint16, { ...optional, section: "RFC 4454" }),
  oamEmulationRequired: avp(87, present, { ...optional, section: "RFC 4454" }),
  atmAlarmStatus: avp(88, record(["circuitStatusReason", uint16], ["alarm", uint16]), {
    ...optional,
    section: "RFC 4454",
  }),
  attachmentGroupIdentifier: avp(89, octetsOf(0), { ...optional, section: "RFC 4667 4.3" }),
  localEndId: avp(90, octetsOf(0), { ...optional, section: "RFC 4667 4.3" }),
  interfaceMtu: avp(91, uint16, { ...optional, section: "RFC 4667 4.3" }),
  /** Octets of the frame check sequence that stay in the payload. */
  fcsRetention: avp(92, oneOf(uint16, [2, 4]), { ...optional, section: "RFC 4720" }),
  maximumReceiveUnit: avp(94, uint16, { ...optional, section: "RFC 4623" }),
  maximumReassembledReceiveUnit: avp(95, uint16, { ...optional, section: "RFC 4623" }),
  vccvCapability: avp(96, record(["controlChannelTypes", uint8], ["connectivityVerificationTypes", uint8]), {
    ...optional,
    section: "RFC 5085 6.3",
  }),
  connectSpeedUpdate: repeatableAvp(
    97,
    record(["remoteSessionId", uint32], ["txConnectSpeed", uint64], ["rxConnectSpeed", uint64]),
    { ...optional, section: "RFC 5515" },
  ),
  connectSpeedUpdateEnable: avp(98, present, { ...optional, section: "RFC 5515" }),
  tdmPseudowire: avp(99, record(["flags", uint16], ["bitRate", uint16], ["payloadOctets", uint16]), {
    ...optional,
    section: "RFC 5611",
  }),
  rtp: avp(100, record(["flags", uint16], ["reserved", uint16], ["timestampClock", uint16], ["ssrc", uint32]), {
    ...optional,
    section: "RFC 5611",
  }),
  pseudowireSwitchingPoint: avp(101, octetsOf(0), { ...optional, section: "RFC 6073" }),
  sbfdDiscriminators: avp(102, listOf(uint32, 1), { ...optional, section: "RFC 7886" }),
  ecnCapability: avp(103, present, { ...optional, section: "RFC 9601" }),
} as const;
