import { type DecodedMessage, isOfDrafts, type RejectedAvp } from "../avp/decode.ts";
import { describeAvp, titleOf } from "../avp/describe.ts";
import type { AvpValues, ControlMessage } from "../avp/messages.ts";
import type { AvpName } from "../avp/registry.ts";
import type { SessionConfiguration, TunnelConfiguration } from "./configuration.ts";
import { because, CDN, ERROR, generalError, printable, type Result, STOPCCN } from "./result-codes.ts";

/** IANA "L2TPv3 Pseudowire Types": Ethernet VLAN and Ethernet (RFC 4719 2.1). */
export const PSEUDOWIRE_TYPES = { vlan: 4, ethernet: 5 } as const satisfies Record<
  SessionConfiguration["pseudowire"],
  number
>;

/** L2-Specific Sublayer AVP values (RFC 3931 5.4.4). */
const SUBLAYERS = ["none", "default"] as const;
export type L2Sublayer = (typeof SUBLAYERS)[number];

/** Data Sequencing AVP values (RFC 3931 5.4.4): nothing, all but IP frames, everything. */
export const SEQUENCING_LEVELS = ["none", "non-ip", "all"] as const;
export type Sequencing = (typeof SEQUENCING_LEVELS)[number];

/** The decoded AVPs of a message, whether or not all that it needs are there. */
export function avpsOf(decoded: DecodedMessage): AvpValues {
  switch (decoded.kind) {
    case "message":
      return decoded.message as AvpValues;
    case "incomplete":
      return decoded.avps;
    case "zlb":
    case "unknown":
      return {};
  }
}

/**
 * Why a message cannot be accepted as it stands: an AVP with its M bit set that is not understood or malformed
 * (RFC 3931 5.2, 7.1), or a required AVP that is missing. `undefined`: nothing wrong with its form. `mayLack`: what peers of
 * this dialect are known to leave out.
 */
export function formFlaw(decoded: DecodedMessage, mayLack: readonly AvpName[] = []): Result | undefined {
  if (decoded.kind !== "message" && decoded.kind !== "incomplete") return undefined;
  const refused = decoded.refused[0];
  if (refused !== undefined) return refusedAvp(refused);
  if (decoded.kind === "message") return undefined;
  const missing = decoded.missing.filter((name) => !mayLack.includes(name) && !isDispensable(name, decoded));
  return missing.length === 0 ? undefined : missingAvp(decoded.name, missing);
}

/**
 * RFC 3931 6.2 and 6.6 want them, but nothing depends on them and known peers leave them out: a Serial Number, and an SCCRP's
 * Router ID where it is one of the drafts', with the Protocol Version of RFC 2661.
 */
function isDispensable(avp: AvpName, decoded: Extract<DecodedMessage, { readonly kind: "incomplete" }>): boolean {
  if (avp === "serialNumber") return true;
  return decoded.name === "SCCRP" && avp === "routerId" && isOfDrafts(decoded);
}

function refusedAvp(avp: RejectedAvp): Result {
  const what = describeAvp(avp);
  switch (avp.reason) {
    case "wrong-length":
    case "overrun":
      return generalError(ERROR.wrongLength, `wrong length: ${what}`);
    case "value-out-of-range":
      return generalError(ERROR.valueOutOfRange, `value out of range: ${what}`);
    case "hidden":
      return generalError(ERROR.unknownMandatoryAvp, `hidden: ${what}`);
    default:
      return generalError(ERROR.unknownMandatoryAvp, `unknown mandatory AVP: ${what}`);
  }
}

function missingAvp(message: string, missing: readonly AvpName[]): Result {
  return generalError(ERROR.valueOutOfRange, `${message} without ${missing.map(titleOf).join(", ")}`);
}

/** RFC 4951: a connection that recovers another one's sessions. That is not offered, so nobody may ask for it. */
export function recoveryFlaw({ tunnelRecovery }: AvpValues): Result | undefined {
  return tunnelRecovery === undefined ? undefined : because(STOPCCN.notAuthorized, "failover is not offered");
}

/** Whether the peer that answers is the one that was meant (RFC 3931 3.3). */
export function identityFlaw({ peerHostname, peerRouterId }: TunnelConfiguration, avps: AvpValues): Result | undefined {
  if (peerHostname !== undefined && peerHostname !== avps.hostName) {
    return because(
      STOPCCN.notAuthorized,
      `host name ${peerHostname} expected, found ${printable(avps.hostName ?? "")}`,
    );
  }
  if (peerRouterId === undefined || peerRouterId === avps.routerId) return undefined;
  return because(STOPCCN.notAuthorized, `Router ID ${peerRouterId} expected, found ${avps.routerId}`);
}

/** RFC 3931 5.4.1: an unknown message type is ignored unless its M bit is set. */
export function unknownTypeFlaw(decoded: Extract<DecodedMessage, { readonly kind: "unknown" }>): Result | undefined {
  if (!decoded.mandatory) return undefined;
  const message = `unknown message type ${decoded.messageType} of vendor ${decoded.vendorId}`;
  return generalError(ERROR.unknownMandatoryAvp, message);
}

/**
 * Whether the call is for a pseudowire of the type that is configured: both ends are ports, or both are VLANs
 * (RFC 4719 2.1, 3.1).
 */
export function typeFlaw({ pseudowireType }: AvpValues, { pseudowire }: SessionConfiguration): Result | undefined {
  const type = PSEUDOWIRE_TYPES[pseudowire];
  if (pseudowireType === type) return undefined;
  const text = `pseudowire type ${pseudowireType} is asked for, here it is ${type} (pseudowire = "${pseudowire}")`;
  return because(CDN.pseudowireTypeNotSupported, text);
}

/** What a message asks of the data packets that we send, or why that cannot be done. */
export type Framing =
  | { readonly l2Sublayer: L2Sublayer; readonly peerSequencing: Sequencing }
  | { readonly flaw: Result };

/**
 * RFC 3931 5.4.4: an absent L2-Specific Sublayer AVP means none; sequencing without a sublayer is an error. The peer's
 * sublayer serves both directions, so the sequencing that we are configured to ask for needs it as well.
 */
export function framingOf(avps: AvpValues, { sequencing }: Pick<SessionConfiguration, "sequencing">): Framing {
  const l2Sublayer = SUBLAYERS[avps.l2SpecificSublayer ?? 0];
  if (l2Sublayer === undefined) {
    const message = `L2-Specific Sublayer ${avps.l2SpecificSublayer} is not supported, 0 and 1 are`;
    return { flaw: generalError(ERROR.valueOutOfRange, message) };
  }
  const peerSequencing = SEQUENCING_LEVELS[avps.dataSequencing ?? 0] ?? "none";
  if (l2Sublayer === "default") return { l2Sublayer, peerSequencing };
  if (peerSequencing !== "none") return { flaw: { result: CDN.sequencingWithoutSublayer } };
  if (sequencing === "none") return { l2Sublayer, peerSequencing };
  const message = `sequencing "${sequencing}" is wanted here, and the peer uses no L2-Specific Sublayer`;
  return { flaw: because(CDN.sequencingWithoutSublayer, message) };
}

/**
 * Whether what we send is sequenced: where the peer asks for it (frames are not looked into, so "non-ip" is all of them,
 * RFC 3931 5.4.4), and where we ask for all of its frames. A sequence number that nobody asked for does no harm, and the
 * kernel does both directions or none.
 */
export function sendsSequenced(peerSequencing: Sequencing, { sequencing }: SessionConfiguration): boolean {
  return peerSequencing !== "none" || sequencing === "all";
}

/** What is wrong with the content of an ICRP or OCRP. */
export function replyFlaw(
  name: string,
  avps: AvpValues,
  configuration: SessionConfiguration,
  asked: { readonly l2Sublayer: L2Sublayer },
): Result | undefined {
  const framing = framingOf(avps, configuration);
  if ("flaw" in framing) return framing.flaw;
  // An ICCN can say that we follow the peer; after an OCRP there is nothing more to say.
  if (name === "OCRP" && framing.l2Sublayer !== asked.l2Sublayer) {
    const message = `the OCRQ asked for L2-Specific Sublayer ${asked.l2Sublayer}, the OCRP has ${framing.l2Sublayer}`;
    return generalError(ERROR.valueOutOfRange, message);
  }
  // Who sends sequence numbers has to get some, and after an OCRP there is no message to ask for them.
  if (name === "OCRP" && framing.peerSequencing !== "none" && configuration.sequencing !== "all") {
    return because(
      CDN.sequencingNotSupported,
      'the peer asks for sequencing: configure sequencing = "all" here as well',
    );
  }
  return mtuFlaw(configuration, avps);
}

/**
 * Sublayer and sequencing may be named again in the last message; the datapath was made with what was said before. A
 * first wish for sequence numbers comes too late for it.
 */
export function confirmationFlaw(
  name: string,
  { l2SpecificSublayer, dataSequencing }: AvpValues,
  configuration: SessionConfiguration,
  { l2Sublayer, peerSequencing }: { readonly l2Sublayer: L2Sublayer; readonly peerSequencing: Sequencing },
): Result | undefined {
  const framing = framingOf(
    {
      l2SpecificSublayer: l2SpecificSublayer ?? SUBLAYERS.indexOf(l2Sublayer),
      dataSequencing: dataSequencing ?? SEQUENCING_LEVELS.indexOf(peerSequencing),
    },
    configuration,
  );
  if ("flaw" in framing) return framing.flaw;
  if (framing.l2Sublayer !== l2Sublayer) {
    const message = `the L2-Specific Sublayer of the ${name} is not that of the messages before`;
    return generalError(ERROR.valueOutOfRange, message);
  }
  const isSequenced = sendsSequenced(peerSequencing, configuration);
  if (framing.peerSequencing === "none" || isSequenced) return undefined;
  const message = `the ${name} asks for sequencing, of which the messages before said nothing: configure it at both ends`;
  return because(CDN.sequencingNotSupported, message);
}

/** RFC 4667 4.3: two ends that both tell their MTU have to agree; who tells none agrees. */
export function mtuFlaw({ mtu }: SessionConfiguration, { interfaceMtu }: AvpValues): Result | undefined {
  if (mtu === "auto" || interfaceMtu === undefined || interfaceMtu === mtu) return undefined;
  return because(CDN.mtuMismatch, `MTU ${mtu} expected, found ${interfaceMtu}`);
}

/** Lower wins, as unsigned 64-bit numbers in network order (RFC 3931 5.4.3). */
export function compareTieBreakers(own: Uint8Array | undefined, peers: Uint8Array | undefined): TieOutcome {
  if (own === undefined) return peers === undefined ? "neither" : "lost";
  if (peers === undefined) return "won";
  const index = own.findIndex((octet, i) => octet !== peers[i]);
  if (index < 0) return "equal";
  return (own[index] ?? 0) < (peers[index] ?? 0) ? "won" : "lost";
}

/** won: ours stands. lost: the peer's stands. equal: both start again. neither: no side sent a tie breaker. */
export type TieOutcome = "won" | "lost" | "equal" | "neither";

export function isFarewell(decoded: DecodedMessage): boolean {
  return decoded.kind === "message" && decoded.message.name === "StopCCN";
}

/** It acknowledges, and does nothing else. */
export function isAcknowledgement(decoded: DecodedMessage): boolean {
  return decoded.kind === "zlb" || (decoded.kind === "message" && decoded.message.name === "ACK");
}

/** `undefined` for a ZLB and for a message of a type that we do not know. */
export function messageName(decoded: DecodedMessage): string | undefined {
  if (decoded.kind === "message") return decoded.message.name;
  return decoded.kind === "incomplete" ? decoded.name : undefined;
}

export function isCallRequest(message: ControlMessage): message is ControlMessage<"ICRQ" | "OCRQ"> {
  return message.name === "ICRQ" || message.name === "OCRQ";
}
