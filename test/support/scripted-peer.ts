import { type DecodedMessage, decodeMessage } from "../../src/avp/decode.ts";
import { encodeMessage, encodeZlb } from "../../src/avp/encode.ts";
import { type ControlHeader, writeHeader } from "../../src/avp/header.ts";
import type { AvpValues, ControlMessage } from "../../src/avp/messages.ts";
import type { TunnelConfiguration } from "../../src/control/configuration.ts";
import type { Endpoint, Instant } from "../../src/control/core.ts";
import type { SessionView, TunnelView } from "../../src/control/view.ts";
import { A, B, lcce, tunnel } from "./sites.ts";
import { VirtualLink, VirtualNode } from "./virtual-link.ts";
import { octetsOfHex } from "./wire.ts";

/** A control message as it reached the peer. */
export interface Heard {
  readonly at: Instant;
  /** Where it came from and went to. */
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly octets: Uint8Array;
  readonly header: ControlHeader;
  /** The message's name, "ZLB", or "unknown". */
  readonly name: string;
  readonly avps: AvpValues;
}

/** How one message departs from what a well-behaved peer would send. */
export interface Deviation {
  readonly ns?: number;
  readonly nr?: number;
  readonly ccid?: number;
  readonly from?: Partial<Endpoint>;
  /** Attribute types of AVPs (vendor 0) that are left out. */
  readonly without?: readonly number[];
  /** AVPs in hex behind the others. */
  readonly more?: string;
}

/**
 * The other end of a conversation, by hand: it encodes what it is told to say, counts its own Ns and Nr, and records
 * what it hears. It has no machine and no timer, so it can be as silent, slow or wrong as a test wants.
 */
export class ScriptedPeer extends VirtualNode {
  readonly heard: Heard[] = [];
  /** Acknowledges every sequenced message at once with a ZLB. */
  polite = true;
  port = 1701;
  ns = 0;
  nr = 0;
  /** The control connection ID that this peer assigns. */
  ccid = 0x0a0b0c01;
  /** The one that the other end has assigned; 0 while unknown. */
  remoteCcid = 0;
  /** The Local Session ID of the next call. */
  sessionId = 0x5e550001;
  readonly #wire: VirtualLink;
  #target: Endpoint;
  #read = 0;

  constructor(link: VirtualLink, address: string, target: Endpoint) {
    super(link, address, lcce("peer"), 1, []);
    this.#wire = link;
    this.#target = target;
    link.nodes.push(this);
  }

  /** Forgets the connection, as after a crash, and takes another id for the next one. */
  restart(): void {
    this.ns = 0;
    this.nr = 0;
    this.remoteCcid = 0;
    this.ccid += 1;
  }

  /** What was heard so far counts no more. */
  forget(): void {
    this.heard.length = 0;
    this.#read = 0;
  }

  override deliver(from: Endpoint, to: Endpoint, octets: Uint8Array): void {
    const decoded = decodeMessage(octets);
    const heard = { at: this.#wire.now, from, to, octets, ...summary(decoded) };
    this.heard.push(heard);
    const { controlConnectionId, ns } = heard.header;
    if (controlConnectionId !== this.ccid && controlConnectionId !== 0) return;
    if (heard.name === "SCCRQ" || heard.name === "SCCRP") {
      this.remoteCcid = heard.avps.assignedControlConnectionId ?? 0;
    }
    if (heard.name === "ZLB" || heard.name === "ACK") return;
    if (ns === this.nr) this.nr = (this.nr + 1) & 0xffff;
    if (this.polite) this.acknowledge();
  }

  /** The octets of a message with this peer's ids and sequence numbers, and its Ns used up. */
  compose(message: ControlMessage, deviation: Deviation = {}): Uint8Array {
    const { ns = this.ns, nr = this.nr, ccid = this.remoteCcid, without = [], more = "" } = deviation;
    if (deviation.ns === undefined) this.ns = (this.ns + 1) & 0xffff;
    return altered(encodeMessage(ccid, ns, nr, message), without, octetsOfHex(more));
  }

  send(message: ControlMessage, deviation: Deviation = {}): Uint8Array {
    const octets = this.compose(message, deviation);
    this.sendOctets(octets, deviation.from);
    return octets;
  }

  /** A message of any Message Type, its AVPs in hex; the first of them ought to be the Message Type. */
  sendAvps(avps: string, deviation: Deviation = {}): void {
    const { ns = this.ns, nr = this.nr, ccid = this.remoteCcid, from } = deviation;
    if (deviation.ns === undefined) this.ns = (this.ns + 1) & 0xffff;
    this.sendOctets(altered(encodeZlb(ccid, ns, nr), [], octetsOfHex(avps)), from);
  }

  acknowledge(deviation: Deviation = {}): void {
    const { ns = this.ns, nr = this.nr, ccid = this.remoteCcid, from } = deviation;
    this.sendOctets(encodeZlb(ccid, ns, nr), from);
  }

  sendOctets(octets: Uint8Array, from: Partial<Endpoint> = {}): void {
    this.#wire.transmit({ address: this.address, port: this.port, ...from }, this.#target, octets);
  }

  /** From now on it talks to this port. */
  talkTo(port: number): void {
    this.#target = { ...this.#target, port };
  }

  /** Waits for the next message of that name among those not yet looked at. */
  expect(name: string, limitMs = 60_000): Heard {
    const find = () => this.heard.findIndex((heard, index) => index >= this.#read && heard.name === name);
    if (!this.#wire.runUntil(() => find() >= 0, limitMs)) {
      throw new Error(`no ${name} within ${limitMs} ms; heard ${this.heard.map((heard) => heard.name).join(", ")}`);
    }
    const index = find();
    this.#read = index + 1;
    return this.heard[index] as Heard;
  }

  /** What is heard during some time, acknowledgements left out. */
  listen(durationMs: number): readonly Heard[] {
    const start = this.heard.length;
    this.#wire.run(durationMs);
    this.#read = this.heard.length;
    return this.heard.slice(start).filter(({ name }) => name !== "ZLB");
  }

  /** Everything ever heard under one name. */
  all(name: string): readonly Heard[] {
    return this.heard.filter((heard) => heard.name === name);
  }

  sccrq(more: Partial<ControlMessage<"SCCRQ">> = {}): ControlMessage<"SCCRQ"> {
    return {
      name: "SCCRQ",
      hostName: "peer",
      routerId: 0x01020304,
      assignedControlConnectionId: this.ccid,
      pseudowireCapabilitiesList: [5],
      ...more,
    };
  }

  sccrp(more: Partial<ControlMessage<"SCCRP">> = {}): ControlMessage<"SCCRP"> {
    const { tieBreaker: _, ...same } = this.sccrq();
    return { ...same, ...more, name: "SCCRP" };
  }

  icrq(more: Partial<ControlMessage<"ICRQ">> = {}): ControlMessage<"ICRQ"> {
    return {
      name: "ICRQ",
      localSessionId: this.sessionId,
      remoteSessionId: 0,
      serialNumber: 7,
      pseudowireType: 5,
      remoteEndId: new TextEncoder().encode("lan42"),
      circuitStatus: 1,
      ...more,
    };
  }

  /** The answer to an ICRQ that was heard. */
  icrp(icrq: Heard, more: Partial<ControlMessage<"ICRP">> = {}): ControlMessage<"ICRP"> {
    const remoteSessionId = icrq.avps.localSessionId ?? 0;
    return { name: "ICRP", localSessionId: this.sessionId, remoteSessionId, circuitStatus: 1, ...more };
  }

  /** The answer to an OCRQ that was heard. */
  ocrp(ocrq: Heard, more: Partial<ControlMessage<"OCRP">> = {}): ControlMessage<"OCRP"> {
    return { ...this.icrp(ocrq), ...more, name: "OCRP" };
  }

  /** SCCRQ, SCCRP, SCCCN, as initiator. */
  connect(more: Partial<ControlMessage<"SCCRQ">> = {}): Heard {
    this.send(this.sccrq(more));
    const sccrp = this.expect("SCCRP");
    this.send({ name: "SCCCN" });
    this.#wire.run(25);
    return sccrp;
  }

  /** SCCRQ, SCCRP, SCCCN, as responder. */
  answer(more: Partial<ControlMessage<"SCCRP">> = {}): Heard {
    const sccrq = this.expect("SCCRQ");
    this.send(this.sccrp(more));
    this.expect("SCCCN");
    return sccrq;
  }

  /** ICRQ, ICRP, ICCN, as the caller; returns the ICRP. */
  call(more: Partial<ControlMessage<"ICRQ">> = {}): Heard {
    this.send(this.icrq(more));
    const icrp = this.expect("ICRP");
    this.send(this.iccn(icrp));
    this.#wire.run(25);
    return icrp;
  }

  iccn(icrp: Heard, more: Partial<ControlMessage<"ICCN">> = {}): ControlMessage<"ICCN"> {
    const remoteSessionId = icrp.avps.localSessionId ?? 0;
    return { name: "ICCN", localSessionId: icrp.avps.remoteSessionId ?? 0, remoteSessionId, ...more };
  }
}

function summary(decoded: DecodedMessage): Pick<Heard, "header" | "name" | "avps"> {
  const { header } = decoded;
  if (decoded.kind === "zlb") return { header, name: "ZLB", avps: {} };
  if (decoded.kind === "unknown") return { header, name: "unknown", avps: {} };
  if (decoded.kind === "incomplete") return { header, name: decoded.name, avps: decoded.avps };
  return { header, name: decoded.message.name, avps: decoded.message as AvpValues };
}

const HEADER_LENGTH = 12;

/** A message without some of its AVPs (of vendor 0), and with others at its end. */
function altered(octets: Uint8Array, without: readonly number[], more: Uint8Array): Uint8Array {
  const view = new DataView(octets.buffer, octets.byteOffset);
  const kept: number[] = [];
  for (let offset = HEADER_LENGTH; offset < octets.length; ) {
    const end = offset + (view.getUint16(offset) & 0x3ff);
    if (!without.includes(view.getUint16(offset + 4))) kept.push(...octets.subarray(offset, end));
    offset = end;
  }
  const result = Uint8Array.from([...octets.subarray(0, HEADER_LENGTH), ...kept, ...more]);
  const ids = { controlConnectionId: view.getUint32(4), ns: view.getUint16(8), nr: view.getUint16(10) };
  writeHeader(result, { ...ids, length: result.length });
  return result;
}

/** The same over IP: neither end has a port. */
export function facingOverIp(more: Partial<TunnelConfiguration> = {}): ReturnType<typeof facing> {
  const sites = facing({ encapsulation: "ip", ...more });
  sites.peer.port = 0;
  sites.peer.talkTo(0);
  return sites;
}

/** Our LCCE at B and a scripted peer at A. Unless told otherwise, ours is a responder that names the peer. */
export function facing(
  more: Partial<TunnelConfiguration> = {},
  ...others: readonly TunnelConfiguration[]
): { readonly link: VirtualLink; readonly node: VirtualNode; readonly peer: ScriptedPeer } {
  const link = new VirtualLink();
  const node = link.add(B, lcce("site-b", tunnel("to-peer", { peer: A, role: "responder", ...more }), ...others), 3);
  const peer = new ScriptedPeer(link, A, { address: B, port: 1701 });
  link.start();
  return { link, node, peer };
}

export function tunnelOf(node: VirtualNode, index = 0): TunnelView {
  return node.core.view().tunnels[index] as TunnelView;
}

export function sessionOf(node: VirtualNode, index = 0): SessionView {
  return tunnelOf(node).sessions[index] as SessionView;
}

/** What must never be logged. */
export function internalErrors(node: VirtualNode): readonly string[] {
  return node.log.filter(({ event }) => event === "internal-error").map(({ message }) => message);
}
