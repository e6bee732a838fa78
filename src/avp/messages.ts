import type { AvpName, AvpValue } from "./registry.ts";

interface MessageDefinition {
  /** Message Type, vendor 0. */
  readonly type: number;
  /** M bit of the Message Type AVP that we send (RFC 3931 5.4.1). */
  readonly mandatory: boolean;
  readonly requires: readonly AvpName[];
  readonly allows: readonly AvpName[];
  readonly section: string;
}

/** Extensions that both the opening messages and the call messages of an exchange may carry. */
const CONNECTION_EXTENSIONS = [
  "controlConnectionDs",
  "modemOnHoldCapable",
  "failoverCapability",
  "ecnCapability",
] as const;
const CALL_EXTENSIONS = ["sessionDs", "rtp", "vccvCapability", "sbfdDiscriminators"] as const;
const RECEIVE_UNITS = ["maximumReceiveUnit", "maximumReassembledReceiveUnit"] as const;
const OPENING = ["hostName", "routerId", "assignedControlConnectionId", "pseudowireCapabilitiesList"] as const;
const OPENING_OPTIONS = [
  "controlMessageAuthenticationNonce",
  "vendorName",
  "receiveWindowSize",
  "preferredLanguage",
] as const;
const SESSION_IDS = ["localSessionId", "remoteSessionId"] as const;
const CALL_REQUEST = [...SESSION_IDS, "serialNumber", "pseudowireType", "remoteEndId", "circuitStatus"] as const;
const SPEEDS = ["txConnectSpeed", "rxConnectSpeed"] as const;
const LAYERING = ["l2SpecificSublayer", "dataSequencing"] as const;

/**
 * RFC 3931 6 and its extensions. Message Type is implied: always required, always first. So are Random Vector, Message
 * Digest (the encoder's business) and Extended Vendor ID: every message may carry them.
 */
export const MESSAGES = {
  SCCRQ: {
    type: 1,
    mandatory: true,
    requires: OPENING,
    allows: [...OPENING_OPTIONS, "tieBreaker", ...CONNECTION_EXTENSIONS, "tunnelRecovery", "challenge"],
    section: "RFC 3931 6.1",
  },
  SCCRP: {
    type: 2,
    mandatory: true,
    requires: OPENING,
    allows: [
      ...OPENING_OPTIONS,
      ...CONNECTION_EXTENSIONS,
      "suggestedControlSequence",
      "challenge",
      "challengeResponse",
    ],
    section: "RFC 3931 6.2",
  },
  SCCCN: { type: 3, mandatory: true, requires: [], allows: ["challengeResponse"], section: "RFC 3931 6.3" },
  StopCCN: {
    type: 4,
    mandatory: true,
    requires: ["resultCode"],
    // Required once the sender has offered an id, which only the control connection knows.
    allows: ["assignedControlConnectionId"],
    section: "RFC 3931 6.4",
  },
  HELLO: { type: 6, mandatory: true, requires: [], allows: [], section: "RFC 3931 6.5" },
  OCRQ: {
    type: 7,
    mandatory: true,
    requires: CALL_REQUEST,
    allows: [
      "assignedCookie",
      ...SPEEDS,
      "tieBreaker",
      ...LAYERING,
      ...CALL_EXTENSIONS,
      ...RECEIVE_UNITS,
      "tdmPseudowire",
      "rxMinimumBps",
      "rxMaximumBps",
      "serviceCategory",
      "serviceName",
    ],
    section: "RFC 3931 6.9",
  },
  OCRP: {
    type: 8,
    mandatory: true,
    requires: [...SESSION_IDS, "circuitStatus"],
    allows: [
      "assignedCookie",
      ...LAYERING,
      ...SPEEDS,
      "physicalChannelId",
      ...CALL_EXTENSIONS,
      ...RECEIVE_UNITS,
      "vpiVciIdentifier",
    ],
    section: "RFC 3931 6.10",
  },
  OCCN: {
    type: 9,
    mandatory: true,
    requires: SESSION_IDS,
    allows: [...LAYERING, "circuitStatus", ...SPEEDS, ...RECEIVE_UNITS],
    section: "RFC 3931 6.11",
  },
  ICRQ: {
    type: 10,
    mandatory: true,
    requires: CALL_REQUEST,
    allows: [
      "assignedCookie",
      "tieBreaker",
      ...LAYERING,
      ...SPEEDS,
      "physicalChannelId",
      "interfaceMtu",
      ...CALL_EXTENSIONS,
      ...RECEIVE_UNITS,
      "tdmPseudowire",
      "frameRelayHeaderLength",
      "atmMaximumConcatenatedCells",
      "oamEmulationRequired",
      "attachmentGroupIdentifier",
      "localEndId",
      "fcsRetention",
      "connectSpeedUpdateEnable",
      "pseudowireSwitchingPoint",
      "serviceCategory",
      "serviceName",
      "callingSubAddress",
      "vpiVciIdentifier",
    ],
    section: "RFC 3931 6.6",
  },
  ICRP: {
    type: 11,
    mandatory: true,
    requires: [...SESSION_IDS, "circuitStatus"],
    allows: [
      "assignedCookie",
      ...LAYERING,
      ...SPEEDS,
      "physicalChannelId",
      "interfaceMtu",
      ...CALL_EXTENSIONS,
      ...RECEIVE_UNITS,
      "frameRelayHeaderLength",
      "atmMaximumConcatenatedCells",
      "oamEmulationRequired",
      "fcsRetention",
      "pseudowireSwitchingPoint",
    ],
    section: "RFC 3931 6.7",
  },
  ICCN: {
    type: 12,
    mandatory: true,
    requires: SESSION_IDS,
    allows: [...LAYERING, "circuitStatus", ...SPEEDS, ...RECEIVE_UNITS, "fcsRetention", "pseudowireSwitchingPoint"],
    section: "RFC 3931 6.8",
  },
  CDN: {
    type: 14,
    mandatory: true,
    requires: ["resultCode", ...SESSION_IDS],
    allows: ["pppDisconnectCauseCode"],
    section: "RFC 3931 6.12",
  },
  WEN: {
    type: 15,
    mandatory: true,
    requires: [...SESSION_IDS, "circuitErrors"],
    allows: [],
    section: "RFC 3931 6.13",
  },
  SLI: {
    type: 16,
    mandatory: true,
    requires: SESSION_IDS,
    allows: [
      "circuitStatus",
      ...RECEIVE_UNITS,
      "atmMaximumConcatenatedCells",
      "oamEmulationRequired",
      "atmAlarmStatus",
    ],
    section: "RFC 3931 6.14",
  },
  /** Acknowledges and nothing else; takes no Ns. Without control message authentication a ZLB does the same. */
  ACK: { type: 20, mandatory: true, requires: [], allows: [], section: "RFC 3931 6.15" },
  MDMST: {
    type: 17,
    mandatory: false,
    requires: [],
    allows: [...SESSION_IDS, "modemOnHoldStatus"],
    section: "RFC 3573",
  },
  SRRQ: { type: 18, mandatory: false, requires: [], allows: [], section: "RFC 3817" },
  SRRP: { type: 19, mandatory: false, requires: [], allows: [], section: "RFC 3817" },
  FSQ: { type: 21, mandatory: false, requires: [], allows: ["failoverSessionState"], section: "RFC 4951 4" },
  FSR: { type: 22, mandatory: false, requires: [], allows: ["failoverSessionState"], section: "RFC 4951 4" },
  MSRQ: { type: 23, mandatory: false, requires: [], allows: [], section: "RFC 4045" },
  MSRP: { type: 24, mandatory: false, requires: [], allows: [], section: "RFC 4045" },
  MSE: { type: 25, mandatory: false, requires: [], allows: [], section: "RFC 4045" },
  MSI: { type: 26, mandatory: false, requires: [], allows: [], section: "RFC 4045" },
  MSEN: { type: 27, mandatory: false, requires: [], allows: [], section: "RFC 4045" },
  CSUN: { type: 28, mandatory: false, requires: [], allows: ["connectSpeedUpdate"], section: "RFC 5515" },
  CSURQ: { type: 29, mandatory: false, requires: [], allows: ["connectSpeedUpdate"], section: "RFC 5515" },
} as const satisfies Record<string, MessageDefinition>;

export type MessageName = keyof typeof MESSAGES;

/** AVPs that any message may carry, by value. */
const EVERYWHERE = ["extendedVendorId"] as const satisfies readonly AvpName[];

/** AVPs that concern how a message is carried, not what it says: they are kept beside it (RFC 3931 5.4.1). */
const ENVELOPE: readonly AvpName[] = ["randomVector", "messageDigest"];

type RequiredAvp<M extends MessageName> = (typeof MESSAGES)[M]["requires"][number];
type AllowedAvp<M extends MessageName> = (typeof MESSAGES)[M]["allows"][number] | (typeof EVERYWHERE)[number];

/** A control message: required AVPs are always there, allowed ones may be. */
export type ControlMessage<N extends MessageName = MessageName> = {
  [M in N]: { readonly name: M } & { readonly [A in RequiredAvp<M>]: AvpValue<A> } & {
    readonly [A in AllowedAvp<M>]?: AvpValue<A>;
  };
}[N];

/** AVPs by name, whatever message they came in. */
export type AvpValues = { readonly [A in AvpName]?: AvpValue<A> };

export const MESSAGE_NAMES: readonly MessageName[] = Object.keys(MESSAGES) as MessageName[];

/** The AVPs of a message in the order in which they are sent: the required ones, then the allowed ones. */
export function avpsOf(name: MessageName): readonly AvpName[] {
  return [...MESSAGES[name].requires, ...MESSAGES[name].allows, ...EVERYWHERE];
}

export function isEnvelope(name: AvpName): boolean {
  return ENVELOPE.includes(name);
}
