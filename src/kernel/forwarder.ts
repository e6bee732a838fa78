import { constants } from "node:os";
import { admit, type Backlog } from "./control-inbox.ts";
import {
  type DataHeaderLayout,
  datagramKind,
  encodeDataHeader,
  frameStart,
  NO_FRAME,
  NOT_SEQUENCED,
  putSequence,
  readSessionId,
  readSublayer,
  WRONG_COOKIE,
} from "./data-header.ts";
import { ReceiveBatch, SendBatch, type SendTarget } from "./datagram-batch.ts";
import type { SessionCounters } from "./datapath.ts";
import { VLAN_TAG_OCTETS } from "./inner-mtu.ts";
import {
  addressOf,
  close,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLLIN,
  epollControl,
  epollCreate,
  epollWait,
  readAt,
  writeAt,
} from "./libc.ts";
import { SEQUENCE_MASK, type SequenceVerdict, SequenceWindow, type SequencingSettings } from "./sequence-window.ts";
import { popTag, pushTag } from "./vlan-tag.ts";

const { EAGAIN, EINTR } = constants.errno;
const ETHERNET_HEADER_OCTETS = 14;
/** What fits behind the longest header and a tag in one UDP datagram over IPv4. */
const LONGEST_FRAME = 65_507 - 20 - VLAN_TAG_OCTETS;
const LARGEST_READ = 65_536;
/** Per system call and turn; the other sources wait meanwhile. */
const RECEIVED_PIECES = 16;
const FRAMES_PER_TURN = 128;
/** Frames that a device which nobody sets up meanwhile can hold (its `txqueuelen`) are far fewer. */
const LONGEST_DEVICE_QUEUE = 100_000;
const SEND_OCTETS = 512 * 1024;
const EVENTS = 64;
/** x86 packs struct epoll_event. */
const EVENT_OCTETS = process.arch === "x64" ? 12 : 16;
const EVENT_DATA = process.arch === "x64" ? 4 : 8;

/** Whoever the poll can wake. */
interface Source {
  readonly fd: number;
  pump(): void;
}

export interface ForwardedSession {
  readonly localControlConnectionId: number;
  readonly localSessionId: number;
  readonly remoteSessionId: number;
  readonly receiveLayout: DataHeaderLayout;
  readonly sendLayout: DataHeaderLayout;
  readonly sendSequencing: boolean;
  readonly receiveSequencing: "none" | "non-ip" | "all";
  readonly sequencing: SequencingSettings;
  readonly interfaceName: string;
  /** The tag that frames bear on the wire and not in the device. */
  readonly vlan: number | undefined;
  readonly tapFd: number;
}

export interface ForwarderEvents {
  /** Its tunnel's backlog counts it already. The octets are the callee's to keep. */
  controlDatagram(localControlConnectionId: number, octets: Uint8Array): void;
  /** Somebody removed the device under the session. */
  deviceLost(localSessionId: number): void;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

class Tunnel implements Source, SendTarget {
  readonly localControlConnectionId: number;
  readonly fd: number;
  readonly backlog: Backlog;
  /** By local Session ID as a signed 32-bit integer, which needs no box on the heap to be looked up. */
  readonly sessions = new Map<number, Session>();
  readonly pump: () => void;
  longestSegment = 0xffff;
  discarded = 0;

  constructor(localControlConnectionId: number, fd: number, backlog: Backlog, pump: (tunnel: Tunnel) => void) {
    this.localControlConnectionId = localControlConnectionId;
    this.fd = fd;
    this.backlog = backlog;
    this.pump = () => pump(this);
  }
}

class Session implements Source {
  readonly description: ForwardedSession;
  readonly tunnel: Tunnel;
  readonly fd: number;
  readonly header: Uint8Array;
  readonly counters: Mutable<SessionCounters>;
  readonly pump: () => void;
  /** Where frames are put in order. */
  readonly window: SequenceWindow | undefined;
  readonly hasSublayer: boolean;
  /** Octets in front of a frame from the device: for the header, and for a tag. */
  readonly headroom: number;
  /** Of the next frame that is sent. */
  sequence = 0;
  raised = false;

  constructor(description: ForwardedSession, tunnel: Tunnel, pump: (session: Session) => void) {
    this.description = description;
    this.tunnel = tunnel;
    this.fd = description.tapFd;
    this.header = encodeDataHeader(description.remoteSessionId, description.sendLayout);
    this.counters = {
      localControlConnectionId: tunnel.localControlConnectionId,
      localSessionId: description.localSessionId,
      receivedPackets: 0,
      receivedOctets: 0,
      receiveErrors: 0,
      sequenceDiscards: 0,
      cookieDiscards: 0,
      sentPackets: 0,
      sentOctets: 0,
      sendErrors: 0,
    };
    this.headroom = this.header.length + (description.vlan === undefined ? 0 : VLAN_TAG_OCTETS);
    this.hasSublayer = description.receiveLayout.l2Sublayer === "default";
    if (description.receiveSequencing !== "none") {
      this.window = new SequenceWindow(description.sequencing, (frame) => this.#deliverLate(frame));
    }
    this.pump = () => pump(this);
  }

  /** A frame that has waited for others. */
  #deliverLate(frame: Uint8Array): void {
    if (this.raised) this.deliver(frame, Number(addressOf(frame)), 0, frame.length);
    else this.counters.receiveErrors++;
  }

  /** Gives the device the frame of `octets`, which are at `address`. Its tag is taken off where it is. */
  deliver(octets: Uint8Array, address: number, start: number, length: number): void {
    const { vlan } = this.description;
    if (vlan === undefined) this.#count(length, writeAt(this.fd, address + start, length) === length);
    else if (!popTag(octets, start, length, vlan)) this.#count(length, false);
    else {
      const rest = length - VLAN_TAG_OCTETS;
      this.#count(length, writeAt(this.fd, address + start + VLAN_TAG_OCTETS, rest) === rest);
    }
  }

  /** What its sequence number costs. */
  discard(): void {
    this.counters.sequenceDiscards++;
    this.counters.receiveErrors++;
  }

  /** As the frame was on the wire. */
  #count(length: number, isDelivered: boolean): void {
    const { counters } = this;
    if (!isDelivered) {
      counters.receiveErrors++;
      return;
    }
    counters.receivedPackets++;
    counters.receivedOctets += length;
  }
}

/**
 * Frames between TAP devices and the sockets of control connections, in one thread that waits for all of them at once
 * and never for one of them. Nothing is allocated per packet.
 */
export class Forwarder {
  readonly #events: ForwarderEvents;
  readonly #epoll = epollCreate();
  readonly #ready = Buffer.alloc(EVENTS * EVENT_OCTETS);
  readonly #sources: (Source | undefined)[] = [];
  readonly #tunnels = new Map<number, Tunnel>();
  readonly #sessions = new Map<number, Session>();
  /** Those where frames wait for others. */
  readonly #holding = new Set<Session>();
  readonly #received = new ReceiveBatch(RECEIVED_PIECES);
  readonly #outgoing = new SendBatch(FRAMES_PER_TURN, SEND_OCTETS);

  constructor(events: ForwarderEvents) {
    this.#events = events;
  }

  /** Has `source.pump` called by `turn` whenever `source.fd` is readable. */
  watch(source: Source): void {
    const free = this.#sources.indexOf(undefined);
    const index = free < 0 ? this.#sources.length : free;
    const event = Buffer.alloc(EVENT_OCTETS);
    event.writeUInt32LE(EPOLLIN);
    event.writeUInt32LE(index, EVENT_DATA);
    epollControl(this.#epoll, EPOLL_CTL_ADD, source.fd, event);
    this.#sources[index] = source;
  }

  #ignore(source: Source): void {
    const index = this.#sources.indexOf(source);
    if (index < 0) return;
    this.#sources[index] = undefined;
    epollControl(this.#epoll, EPOLL_CTL_DEL, source.fd, Buffer.alloc(EVENT_OCTETS));
  }

  /** Waits until something is readable, at most `timeoutMs`, and serves all that is, once. */
  turn(timeoutMs: number): void {
    const count = epollWait(
      this.#epoll,
      this.#ready,
      EVENTS,
      this.#holding.size > 0 ? this.#patience(timeoutMs) : timeoutMs,
    );
    for (let event = 0; event < count; event++) {
      const index = this.#ready.readUInt32LE(event * EVENT_OCTETS + EVENT_DATA);
      this.#sources[index]?.pump();
    }
    if (this.#holding.size > 0) this.#expire();
  }

  /** How long nothing that waits is due. */
  #patience(timeoutMs: number): number {
    const deadlines = Array.from(this.#holding, ({ window }) => window?.deadline ?? Number.POSITIVE_INFINITY);
    return Math.max(0, Math.min(timeoutMs, Math.ceil(Math.min(...deadlines) - performance.now())));
  }

  #expire(): void {
    const now = performance.now();
    for (const session of this.#holding) {
      session.window?.expire(now);
      if (session.window?.holds !== true) this.#holding.delete(session);
    }
  }

  /** All that was given in stays open. */
  close(): void {
    close(this.#epoll);
  }

  socketOf(localControlConnectionId: number): number | undefined {
    return this.#tunnels.get(localControlConnectionId)?.fd;
  }

  addTunnel(localControlConnectionId: number, fd: number, backlog: Backlog): void {
    const tunnel = new Tunnel(localControlConnectionId, fd, backlog, this.#pumpSocket);
    this.watch(tunnel);
    this.#tunnels.set(localControlConnectionId, tunnel);
  }

  /** Forgets the tunnel and its sessions; all descriptors stay open. */
  removeTunnel(localControlConnectionId: number): void {
    const tunnel = this.#tunnels.get(localControlConnectionId);
    if (tunnel === undefined) return;
    for (const session of tunnel.sessions.values()) this.removeSession(session.description.localSessionId);
    this.#ignore(tunnel);
    this.#tunnels.delete(localControlConnectionId);
  }

  /** Neither delivers nor sends before `raise`. The tunnel must exist. */
  addSession(description: ForwardedSession): void {
    const tunnel = this.#tunnels.get(description.localControlConnectionId) as Tunnel;
    const session = new Session(description, tunnel, this.#pumpTap);
    tunnel.sessions.set(description.localSessionId | 0, session);
    this.#sessions.set(description.localSessionId, session);
  }

  raise(localSessionId: number): void {
    const session = this.#sessions.get(localSessionId);
    if (session === undefined || session.raised) return;
    this.watch(session);
    session.raised = true;
  }

  /** Neither delivers nor sends before the next `raise`; frames that wait in the device are forgotten. */
  lower(localSessionId: number): void {
    const session = this.#sessions.get(localSessionId);
    if (session === undefined) return;
    session.raised = false;
    session.window?.clear();
    this.#ignore(session);
    let frames = 0;
    while (frames < LONGEST_DEVICE_QUEUE && this.#dropFrame(session)) frames++;
  }

  removeSession(localSessionId: number): void {
    const session = this.#sessions.get(localSessionId);
    if (session === undefined) return;
    this.#ignore(session);
    this.#holding.delete(session);
    session.tunnel.sessions.delete(localSessionId | 0);
    this.#sessions.delete(localSessionId);
  }

  /** Local Session IDs. */
  sessionsOf(localControlConnectionId: number): readonly number[] {
    const sessions = this.#tunnels.get(localControlConnectionId)?.sessions.values() ?? [];
    return [...sessions].map(({ description }) => description.localSessionId);
  }

  isRaised(localSessionId: number): boolean {
    return this.#sessions.get(localSessionId)?.raised ?? false;
  }

  session(localSessionId: number): ForwardedSession | undefined {
    return this.#sessions.get(localSessionId)?.description;
  }

  counters(localControlConnectionId: number | undefined): readonly SessionCounters[] {
    return [...this.#sessions.values()]
      .map((session) => session.counters)
      .filter(
        (one) => localControlConnectionId === undefined || one.localControlConnectionId === localControlConnectionId,
      );
  }

  /** Datagrams that nobody took: unknown Session ID, wrong version, runts, more control messages than are handled. */
  discarded(localControlConnectionId: number | undefined): number {
    let sum = 0;
    for (const tunnel of this.#tunnels.values()) {
      if ((localControlConnectionId ?? tunnel.localControlConnectionId) !== tunnel.localControlConnectionId) continue;
      sum += tunnel.discarded;
    }
    return sum;
  }

  readonly #pumpSocket = (tunnel: Tunnel): void => {
    const received = this.#received;
    // An error is an ICMP answer to what was sent: information, and gone by having been read.
    const count = received.receive(tunnel.fd);
    for (let index = 0; index < count; index++) {
      const start = received.start(index);
      const end = start + received.length(index);
      const segmentLength = received.segmentLength(index);
      for (let at = start; at < end; at += segmentLength) this.#accept(tunnel, at, Math.min(at + segmentLength, end));
    }
  };

  #accept(tunnel: Tunnel, start: number, end: number): void {
    const { octets } = this.#received;
    const kind = datagramKind(octets, start, end);
    if (kind === "control" && admit(tunnel.backlog)) {
      this.#events.controlDatagram(tunnel.localControlConnectionId, octets.slice(start, end));
      return;
    }
    // Only among the sessions of the tunnel that the datagram came through: a Session ID alone proves no peer.
    const session = kind === "data" ? tunnel.sessions.get(readSessionId(octets, start) | 0) : undefined;
    if (session === undefined) {
      tunnel.discarded++;
      return;
    }
    this.#deliver(session, start, end);
  }

  #deliver(session: Session, start: number, end: number): void {
    const frame = frameStart(this.#received.octets, start, end, session.description.receiveLayout);
    const length = end - frame;
    const { counters } = session;
    if (frame === WRONG_COOKIE) counters.cookieDiscards++;
    if (frame < 0 || !session.raised || length < ETHERNET_HEADER_OCTETS) counters.receiveErrors++;
    else if (session.hasSublayer) this.#deliverInOrder(session, frame, length);
    else session.deliver(this.#received.octets, this.#received.address, frame, length);
  }

  #deliverInOrder(session: Session, frame: number, length: number): void {
    const { octets, address } = this.#received;
    const { window, counters } = session;
    const sequence = readSublayer(octets, frame);
    if (sequence === NO_FRAME) {
      counters.receiveErrors++;
      return;
    }
    const isUnordered = window === undefined || sequence === NOT_SEQUENCED;
    const verdict = isUnordered ? judgeUnordered(session.description, sequence) : window.judge(sequence);
    if (verdict === "discard") session.discard();
    else if (verdict === "deliver") {
      session.deliver(octets, address, frame, length);
      if (isUnordered) return;
      window.advance();
    } else if (window?.hold(sequence, octets.slice(frame, frame + length), performance.now()) === true) {
      this.#holding.add(session);
    } else session.discard();
  }

  readonly #pumpTap = (session: Session): void => {
    const batch = this.#outgoing;
    batch.begin(session.tunnel);
    const room = SEND_OCTETS - LARGEST_READ - session.headroom;
    for (let frame = 0; frame < FRAMES_PER_TURN && batch.position < room; frame++) {
      if (!this.#readFrame(session)) break;
    }
    if (batch.datagrams === 0) return;
    batch.flush();
    const { counters } = session;
    const sent = batch.datagrams - batch.failedDatagrams;
    counters.sentPackets += sent;
    counters.sentOctets += batch.position - batch.failedOctets - sent * session.header.length;
    counters.sendErrors += batch.failedDatagrams;
  };

  /** Puts the next frame with its header into the outgoing batch; false when there is none. */
  #readFrame(session: Session): boolean {
    const batch = this.#outgoing;
    const { header, headroom } = session;
    const length = readAt(session.fd, batch.address + batch.position + headroom, LARGEST_READ);
    if (length <= 0) {
      if (length !== -EAGAIN && length !== -EINTR) this.#loseDevice(session);
      return false;
    }
    if (length > LONGEST_FRAME) {
      session.counters.sendErrors++;
      return true;
    }
    const { vlan } = session.description;
    if (vlan !== undefined) pushTag(batch.octets, batch.position + header.length, vlan);
    for (let index = 0; index < header.length; index++) batch.octets[batch.position + index] = header[index] as number;
    if (session.description.sendSequencing) {
      putSequence(batch.octets, batch.position, header.length, session.sequence);
      session.sequence = (session.sequence + 1) & SEQUENCE_MASK;
    }
    batch.append(headroom + length);
    return true;
  }

  #dropFrame(session: Session): boolean {
    return readAt(session.fd, this.#outgoing.address, LARGEST_READ) > 0;
  }

  #loseDevice(session: Session): void {
    this.#ignore(session);
    this.#events.deviceLost(session.description.localSessionId);
  }
}

/** Of a frame whose sequence number is not judged: who asked for one in every frame takes none without. */
function judgeUnordered({ receiveSequencing }: ForwardedSession, sequence: number): SequenceVerdict {
  return sequence === NOT_SEQUENCED && receiveSequencing === "all" ? "discard" : "deliver";
}
