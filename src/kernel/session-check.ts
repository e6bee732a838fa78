import { isIP } from "node:net";
import type { SessionRequest } from "./datapath.ts";

const MAX_ID = 0xffff_ffff;
/** IFNAMSIZ less the terminating NUL. */
const MAX_NAME_OCTETS = 15;

/** Why a session must not be made, `undefined` if it may. The kernel itself accepts nonsense: id 0, a 5-octet cookie. */
export function sessionFlaw(session: SessionRequest): string | undefined {
  if (!isId(session.localSessionId) || !isId(session.remoteSessionId)) return "session ids are 1 to 4294967295";
  if (![session.localCookie, session.remoteCookie].every(({ length }) => length === 0 || length === 4 || length === 8))
    return "cookies have 0, 4 or 8 octets";
  const { sendSequencing, receiveSequencing, l2Sublayer } = session;
  if ((sendSequencing || receiveSequencing !== "none") && l2Sublayer === "none") return "sequencing needs the sublayer";
  if (!isInterfaceName(session.interfaceName)) return `"${session.interfaceName}" is not an interface name`;
  if (session.vlan !== undefined && !isVlan(session.vlan)) return "a VLAN is 1 to 4094";
  const address = session.addresses.find((each) => !isCidr(each));
  if (address !== undefined) return `"${address}" is not an address in CIDR notation`;
  return undefined;
}

/** An id of a control connection or session that can stand in a packet. */
export function isId(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= MAX_ID;
}

/** 0 marks a tag of priority alone, 4095 is reserved (IEEE 802.1Q). */
function isVlan(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= 4_094;
}

function isInterfaceName(name: string): boolean {
  const { length } = Buffer.from(name);
  return length >= 1 && length <= MAX_NAME_OCTETS && name !== "." && name !== ".." && !/[/:\s\0%]/.test(name);
}

function isCidr(address: string): boolean {
  const [host = "", prefixLength = "", ...more] = address.split("/");
  const version = isIP(host);
  if (version === 0 || more.length > 0 || !/^\d{1,3}$/.test(prefixLength)) return false;
  return Number(prefixLength) <= (version === 4 ? 32 : 128);
}
