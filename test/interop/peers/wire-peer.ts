import { randomBytes, randomInt } from "node:crypto";
import type { Endpoint } from "../../../src/control/core.ts";
import { hiddenByHand, nonceOnWire, signedByHand, unhiddenByHand } from "../../support/digest-by-hand.ts";
import type { SeenDatagram } from "../../support/pcap.ts";
import { avp, avpsIn, hexOf, MESSAGE_TYPES, octetsOfHex } from "../../support/wire.ts";
import { type PeerSocket, udpSocket } from "./peer-socket.ts";
import { type Personality, type SessionIds, u32 } from "./personality.ts";

const PATIENCE_MS = 120_000;
const NOTHING: Uint8Array = new Uint8Array(0);

/** A control message as the peer read it, by hand. */
export interface HeardMessage {
  /** "SCCRQ" …, "ZLB", or the number of a type that it does not know. */
  readonly name: string;
  readonly ns: number;
  readonly nr: number;
  readonly ccid: number;
  /** Value in hex of the first AVP of each kind, by "61" or "v9/1"; hidden ones in the clear. */
  readonly avps: ReadonlyMap<string, string>;
  /** The same kinds, in order, with "-" behind those without M. */
  readonly list: readonly string[];
}

/** What it authenticates with. */
export interface PeerSecret {
  readonly secret: Uint8Array;
  readonly digest: "md5" | "sha1";
}

export interface WirePeerOptions {
  readonly personality: Personality;
  /** Where our daemon listens, or opens from. */
  readonly daemon: Endpoint;
  /** A secret of no octets: an integrity check, without nonces. */
  readonly authentication?: PeerSecret;
  /** It hides its Assigned Cookie. */
  readonly hidesCookie?: boolean;
}

/**
 * A router by hand over a real socket. It does one connection with one session, in order; what it would resent in
 * real life it would stumble over here: whatever our daemon says that such a router cannot take is in `faults`.
 */
export class WirePeer {
  readonly faults: string[] = [];
  readonly transcript: SeenDatagram[] = [];
  /** Data packets that it has received, from their Session ID on. */
  readonly packets: Uint8Array[] = [];
  readonly personality: Personality;
  /** Nothing reaches it. */
  deaf = false;
  /** The highest Nr that it has heard: so many of its messages have arrived. */
  acknowledged = 0;
  /** What it assigns. */
  ccid = randomInt(1, 2 ** 32 - 1);
  sessionId = randomInt(1, 2 ** 32 - 1);
  /** What our daemon has assigned; 0 while unknown. */
  remoteCcid = 0;
  remoteSessionId = 0;
  readonly #socket: PeerSocket;
  readonly #options: WirePeerOptions;
  readonly #heard: HeardMessage[] = [];
  #waiting: (() => void) | undefined;
  #target: Endpoint;
  #ns = 0;
  #nr = 0;
  #nonce: Uint8Array = NOTHING;
  #remoteNonce: Uint8Array = NOTHING;
  #acknowledgement: NodeJS.Timeout | undefined;

  constructor(socket: PeerSocket, options: WirePeerOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#target = options.daemon;
    this.personality = options.personality;
    this.restart();
    socket.listen({
      control: (octets, from) => this.#receive(octets, from),
      data: (packet) => this.packets.push(packet),
    });
  }

  /** Over UDP. */
  static async bind(address: string, options: WirePeerOptions): Promise<WirePeer> {
    return new WirePeer(await udpSocket(address), options);
  }

  get endpoint(): Endpoint {
    return this.#socket.endpoint;
  }

  /** Forgets everything, as after a power cut. */
  restart(): void {
    this.ccid = (this.ccid % 0xffff_fffe) + 1;
    this.#target = this.#options.daemon;
    this.#ns = 0;
    this.#nr = 0;
    this.remoteCcid = 0;
    this.remoteSessionId = 0;
    this.#nonce = (this.#options.authentication?.secret.length ?? 0) > 0 ? randomBytes(16) : NOTHING;
    this.#remoteNonce = NOTHING;
    this.#heard.length = 0;
  }

  close(): void {
    clearTimeout(this.#acknowledgement);
    this.#socket.close();
  }

  /** SCCRQ, SCCRP, SCCCN as the initiator. Returns the SCCRP. */
  async open(): Promise<HeardMessage> {
    this.say(1, [...this.#nonceAvp(), ...this.personality.sccrq({ ccid: this.ccid })]);
    const sccrp = await this.expect("SCCRP");
    this.#admit(sccrp);
    this.say(3, []);
    return sccrp;
  }

  /** The same as the responder. Returns the SCCRQ. */
  async accept(): Promise<HeardMessage> {
    const sccrq = await this.expect("SCCRQ");
    this.#admit(sccrq);
    this.say(2, [...this.#nonceAvp(), ...this.personality.sccrp({ ccid: this.ccid })]);
    await this.expect("SCCCN");
    return sccrq;
  }

  /** ICRQ, ICRP, ICCN as the caller. Returns the ICRP. */
  async call(endId: string, cookie = ""): Promise<HeardMessage> {
    this.say(
      10,
      this.#withCookie(endId, cookie, (ids) => this.personality.icrq(ids)),
    );
    const icrp = await this.expect("ICRP");
    this.remoteSessionId = Number.parseInt(icrp.avps.get("63") ?? "0", 16);
    this.say(12, this.personality.iccn(this.#sessionIds(endId, "")));
    return icrp;
  }

  /** The same as the called end. Returns the ICRQ. */
  async answerCall(cookie = ""): Promise<HeardMessage> {
    const icrq = await this.expect("ICRQ");
    this.remoteSessionId = Number.parseInt(icrq.avps.get("63") ?? "0", 16);
    this.say(
      11,
      this.#withCookie("", cookie, (ids) => this.personality.icrp(ids)),
    );
    await this.expect("ICCN");
    return icrq;
  }

  /** A sequenced message of this Message Type with these AVPs. `ccid`: to whom, if not to the connection. */
  say(type: number, avps: readonly string[], ccid = this.remoteCcid): void {
    const body = [avp(0, type.toString(16).padStart(4, "0")), ...avps].join("");
    this.#transmit(this.#message(body, this.#ns, ccid), type === 1);
    this.#ns += 1;
  }

  /** A message with Ns 0 to an id of an earlier connection; this one's numbers stay as they are. */
  sayUnsequenced(type: number, avps: readonly string[], ccid: number): void {
    const body = [avp(0, type.toString(16).padStart(4, "0")), ...avps].join("");
    this.#transmit(this.#message(body, 0, ccid));
  }

  /** A frame of the session, behind the cookie that our daemon has assigned and what else it wants there, in hex. */
  sendFrame(header: string, frame: Uint8Array): void {
    const packet = Buffer.concat([octetsOfHex(u32(this.remoteSessionId) + header), frame]);
    this.#socket.sendData(packet, this.#target);
  }

  /** Both ids are typed in: there is no handshake. */
  talkAs(ccid: number, remoteCcid: number): void {
    this.ccid = ccid;
    this.remoteCcid = remoteCcid;
  }

  /** Waits for the next message of that name; what comes before it is passed over. */
  async expect(name: string): Promise<HeardMessage> {
    const end = Date.now() + PATIENCE_MS;
    for (;;) {
      const index = this.#heard.findIndex((message) => message.name === name);
      const found = this.#heard[index];
      if (found !== undefined) {
        this.#heard.splice(0, index + 1);
        return found;
      }
      if (Date.now() > end) {
        const heard = this.#heard.map((message) => message.name).join(", ") || "nothing";
        throw new Error(`${this.personality.make}: no ${name} within ${PATIENCE_MS} ms; heard ${heard}`);
      }
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
        setTimeout(resolve, 1_000);
      });
    }
  }

  #nonceAvp(): readonly string[] {
    return this.#nonce.length === 0 ? [] : [avp(73, hexOf(this.#nonce))];
  }

  #sessionIds(endId: string, cookie: string): SessionIds {
    return { localSessionId: this.sessionId, remoteSessionId: this.remoteSessionId, endId, cookie };
  }

  #withCookie(endId: string, cookie: string, avps: (ids: SessionIds) => readonly string[]): readonly string[] {
    if (cookie === "") return avps(this.#sessionIds(endId, ""));
    if (this.#options.hidesCookie !== true) return avps(this.#sessionIds(endId, avp(65, cookie)));
    const vector = randomBytes(16);
    const hidden = hiddenByHand(65, octetsOfHex(cookie), this.#secret, vector);
    return [avp(36, hexOf(vector)), ...avps(this.#sessionIds(endId, avp(65, hexOf(hidden), { hidden: true })))];
  }

  get #secret(): Uint8Array {
    return this.#options.authentication?.secret ?? NOTHING;
  }

  #message(body: string, ns: number, ccid: number): Uint8Array {
    const octets = Buffer.concat([Buffer.alloc(12), octetsOfHex(body)]);
    octets.writeUInt16BE(0xc803, 0);
    octets.writeUInt16BE(octets.length, 2);
    octets.writeUInt32BE(ccid, 4);
    octets.writeUInt16BE(ns & 0xffff, 8);
    octets.writeUInt16BE(this.#nr & 0xffff, 10);
    return octets;
  }

  #transmit(octets: Uint8Array, isSccrq = false): void {
    clearTimeout(this.#acknowledgement);
    const { authentication } = this.#options;
    const prefix = isSccrq ? NOTHING : Buffer.concat([this.#nonce, this.#remoteNonce]);
    const type = authentication?.digest === "sha1" ? 1 : 0;
    const isZlb = octets.length === 12;
    const sent = authentication && !isZlb ? signedByHand(octets, type, [authentication.secret], prefix) : octets;
    this.transcript.push({ from: this.endpoint, to: this.#target, octets: sent });
    this.#socket.sendControl(sent, this.#target);
  }

  #receive(octets: Uint8Array, from: Endpoint): void {
    if (this.deaf) return;
    this.transcript.push({ from, to: this.endpoint, octets: Uint8Array.from(octets) });
    const message = this.#read(octets);
    this.acknowledged = Math.max(this.acknowledged, message.nr);
    if (message.name === "SCCRQ" || message.name === "SCCRP") {
      this.#target = from;
      this.#remoteNonce = nonceOnWire(octets) ?? this.#remoteNonce;
      this.remoteCcid = Number.parseInt(message.avps.get("61") ?? "0", 16);
    }
    if (message.name === "ZLB" || message.name === "ACK") this.#judgeAcknowledgement(message.name);
    else this.#take(message);
  }

  /** With an integrity check alone either will do. */
  #judgeAcknowledgement(name: string): void {
    const { authentication } = this.#options;
    const due = authentication === undefined ? "ZLB" : this.#secret.length > 0 ? "ACK" : name;
    if (name !== due) this.faults.push(`${name} where ${due} is due`);
  }

  #take(message: HeardMessage): void {
    const { name, ns, ccid } = message;
    if (name !== "SCCRQ" && ccid !== this.ccid) this.faults.push(`${name} to CCID ${ccid}`);
    if (ns !== this.#nr) {
      // Sent again: the acknowledgement was too slow.
      if (ns > this.#nr) this.faults.push(`${name} with Ns ${ns} where ${this.#nr} is due`);
      else if (name !== "SCCRQ") this.#acknowledge();
      return;
    }
    this.#nr += 1;
    this.#judge(message);
    // An SCCRQ is acknowledged by the SCCRP: before it nobody knows this end's nonce.
    if (name !== "SCCRQ") {
      this.#acknowledgement = setTimeout(() => this.#acknowledge(), this.personality.acknowledgeAfterMs);
    }
    this.#heard.push(message);
    this.#waiting?.();
  }

  /** A stickler refuses an AVP with M that it does not know. */
  #judge({ name, list }: HeardMessage): void {
    const { knows } = this.personality;
    const signing = this.#options.authentication === undefined ? [] : ["59", "73", "36"];
    const unknown = list.find(
      (each) => !each.endsWith("-") && knows !== undefined && !knows.has(each) && !signing.includes(each),
    );
    if (unknown === undefined) return;
    this.faults.push(`${name} with unknown mandatory AVP ${unknown}`);
    this.#refuse("00020008");
  }

  /** Throws what is wrong with who wants a connection, having refused it. */
  #admit({ name, avps }: HeardMessage): void {
    const { make, expects = {} } = this.personality;
    for (const [type, value] of Object.entries(expects)) {
      const found = avps.get(type);
      if (found === value) continue;
      this.#refuse("0004");
      throw new Error(`${make}: ${name} with AVP ${type} ${found}, expected ${value}`);
    }
  }

  /** A StopCCN. */
  #refuse(resultCode: string): void {
    this.say(4, [avp(1, resultCode), avp(61, u32(this.ccid))]);
  }

  /** With authentication an ACK message, which takes no Ns; else a ZLB. */
  #acknowledge(): void {
    const body = this.#secret.length > 0 ? avp(0, "0014") : "";
    this.#transmit(this.#message(body, this.#ns, this.remoteCcid));
  }

  #read(octets: Uint8Array): HeardMessage {
    const view = new DataView(octets.buffer, octets.byteOffset);
    const seen = avpsIn(octets);
    const hidden = seen.some((each) => each.hidden) ? unhiddenByHand(octets, this.#secret) : undefined;
    const avps = new Map<string, string>();
    for (const each of seen) {
      const kind = each.vendorId === 0 ? String(each.type) : `v${each.vendorId}/${each.type}`;
      const clear = each.hidden ? hexOf(hidden?.get(each.type) ?? NOTHING) : each.value;
      if (!avps.has(kind)) avps.set(kind, clear);
    }
    const type = seen[0] === undefined ? undefined : Number.parseInt(seen[0].value, 16);
    return {
      name: type === undefined ? "ZLB" : (MESSAGE_TYPES[type] ?? String(type)),
      ccid: view.getUint32(4),
      ns: view.getUint16(8),
      nr: view.getUint16(10),
      avps,
      list: seen.map(
        ({ vendorId, type: each, mandatory }) =>
          `${vendorId === 0 ? "" : `v${vendorId}/`}${each}${mandatory ? "" : "-"}`,
      ),
    };
  }
}
