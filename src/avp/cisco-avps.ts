import { avp, type SingleAvp } from "./definition.ts";
import { type AvpFormat, octetsOf, uint16 } from "./format.ts";
import { RFC3931_AVPS } from "./rfc3931-avps.ts";

/** SMI Network Management Private Enterprise Code of Cisco Systems. */
export const CISCO = 9;

/** A vendor AVP from the drafts before RFC 3931; layout, M and H are those of its twin there, if it has one. */
interface CiscoAvp extends SingleAvp {
  readonly twin?: keyof typeof RFC3931_AVPS;
}

function twin(type: number, name: keyof typeof RFC3931_AVPS): CiscoAvp {
  const { format, mandatory, hideable, section } = RFC3931_AVPS[name];
  return { ...avp<unknown>(type, format, { vendorId: CISCO, mandatory, hideable, section }), twin: name };
}

function own(type: number, format: AvpFormat<unknown>): CiscoAvp {
  return avp(type, format, { vendorId: CISCO, mandatory: true, hideable: true, section: "Cisco" });
}

/**
 * Cisco's AVPs as IOS and others send them. They are recognised: an M bit on them tears nothing down. One that has a twin
 * stands in for it where that is missing.
 */
export const CISCO_AVPS = {
  assignedConnectionId: twin(1, "assignedControlConnectionId"),
  pseudowireCapabilitiesList: twin(2, "pseudowireCapabilitiesList"),
  localSessionId: twin(3, "localSessionId"),
  remoteSessionId: twin(4, "remoteSessionId"),
  assignedCookie: twin(5, "assignedCookie"),
  remoteEndId: twin(6, "remoteEndId"),
  pseudowireType: twin(7, "pseudowireType"),
  circuitStatus: twin(8, "circuitStatus"),
  sessionTieBreaker: twin(9, "tieBreaker"),
  draftAvpVersion: own(10, uint16),
  undocumented11: own(11, octetsOf(0)),
  messageDigest: twin(12, "messageDigest"),
  authenticationNonce: twin(13, "controlMessageAuthenticationNonce"),
  interfaceMtu: own(14, uint16),
  undocumented110: own(110, octetsOf(0)),
  undocumented111: own(111, octetsOf(0)),
  undocumented115: own(115, octetsOf(0)),
} as const;
