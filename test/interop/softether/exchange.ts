import { expect } from "vitest";
import { judge } from "../../support/digest-by-hand.ts";
import { dissect, type Frame } from "../../support/tshark.ts";
import type { Datagram } from "../../support/virtual-link.ts";
import { MESSAGE_TYPES, octetsOfHex } from "../../support/wire.ts";

/** A control message as tshark sees it. */
export interface Said {
  readonly from: "site" | "server";
  /** "ZLB" where it has no AVPs. */
  readonly name: string;
  readonly ns: number;
  readonly nr: number;
  /** What tshark finds fault with. */
  readonly flaws: readonly string[];
  /** Of each Message Digest AVP its type and, 0 being the secret that is none, whether it is right: "sha1 0". */
  readonly digests: readonly string[];
}

const FIELDS = [
  "ip.src",
  "ip.dst",
  "udp.srcport",
  "udp.dstport",
  "udp.length",
  "udp.payload",
  "l2tp.type",
  "l2tp.version",
  "l2tp.length",
  "l2tp.Ns",
  "l2tp.Nr",
  "l2tp.avp.message_type",
  "l2tp.avp_length.bad",
  "_ws.malformed",
  "_ws.expert.message",
];
const UDP_HEADER_OCTETS = 8;
const NO_SECRET = new Uint8Array();

/** The control messages of a capture, in order. What goes to `serverPort` comes from the site. */
export async function saidIn(file: string, serverPort = 1701): Promise<readonly Said[]> {
  const frames = await dissect(file, FIELDS);
  const judged = judge(frames.map(datagramOf), [NO_SECRET]);
  return frames.map((frame, index) => ({
    from: isFromSite(frame, serverPort) ? "site" : "server",
    name: MESSAGE_TYPES[number(frame, "l2tp.avp.message_type", 0)] ?? "ZLB",
    ns: number(frame, "l2tp.Ns"),
    nr: number(frame, "l2tp.Nr"),
    flaws: flawsOf(frame),
    digests: judged[index]?.digests ?? [],
  }));
}

/** Both ports may be 1701; then the site's address is the lower one. */
function isFromSite(frame: Frame, serverPort: number): boolean {
  const [from, to] = [number(frame, "udp.srcport"), number(frame, "udp.dstport")];
  return from === to ? text(frame, "ip.src") < text(frame, "ip.dst") : to === serverPort;
}

function flawsOf(frame: Frame): readonly string[] {
  const flaws = ["_ws.malformed", "_ws.expert.message", "l2tp.avp_length.bad"].flatMap((field) => frame[field] ?? []);
  if (text(frame, "l2tp.type") !== "1" || text(frame, "l2tp.version") !== "3")
    flaws.push("no control message in Ver 3");
  const inUdp = number(frame, "udp.length") - UDP_HEADER_OCTETS;
  if (number(frame, "l2tp.length") !== inUdp) flaws.push(`Length is not ${inUdp}`);
  return flaws;
}

function datagramOf(frame: Frame, order: number): Datagram {
  const [from, to] = ["src", "dst"].map((end) => ({
    address: `${text(frame, `ip.${end}`)}:${text(frame, `udp.${end}port`)}`,
    port: number(frame, `udp.${end}port`),
  }));
  if (from === undefined || to === undefined) throw new Error("a frame without addresses");
  return { number: order, at: order, from, to, octets: octetsOfHex(text(frame, "udp.payload").replaceAll(":", "")) };
}

/** Nothing that we send is malformed, and each digest in it is right. */
export function expectFlawless(said: readonly Said[]): void {
  const ours = said.filter(({ from }) => from === "site");
  expect(ours.length).toBeGreaterThan(5);
  expect(ours.filter(({ flaws }) => flaws.length > 0)).toEqual([]);
  expect(ours.filter(({ digests }) => digests.some((digest) => digest.endsWith("wrong")))).toEqual([]);
}

/** "site SCCRQ", "server SCCRP": without acknowledgements and keepalive, and each message once. */
export function sentences(said: readonly Said[]): readonly string[] {
  const seen = new Set<string>();
  return said.flatMap(({ from, name, ns }) => {
    if (name === "ZLB" || name === "HELLO" || seen.has(`${from} ${name} ${ns}`)) return [];
    seen.add(`${from} ${name} ${ns}`);
    return [`${from} ${name}`];
  });
}

function text(frame: Frame, field: string): string {
  return frame[field]?.[0] ?? "";
}

function number(frame: Frame, field: string, otherwise = Number.NaN): number {
  const value = frame[field]?.[0];
  return value === undefined ? otherwise : Number(value);
}
