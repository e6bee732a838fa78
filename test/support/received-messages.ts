import type { ControlMessage, MessageName } from "../../src/avp/messages.ts";
import type { SessionView } from "../../src/control/view.ts";
import { type Deviation, facing, internalErrors, type ScriptedPeer, tunnelOf } from "./scripted-peer.ts";
import { session } from "./sites.ts";
import { hexOf, octetsOfHex } from "./wire.ts";

type World = ReturnType<typeof facing>;

/** A message in the situation in which our LCCE expects it. */
interface Situation {
  /** What says that the message is not accepted; a farewell is always accepted. */
  readonly refusal: "StopCCN" | "CDN" | "none";
  /** Goes as far as the message, and returns it. */
  readonly lead: () => { readonly world: World; readonly message: ControlMessage };
  /** What has to be heard, and what become of tunnel and session, when nothing is wrong with the message. */
  readonly accepted: { readonly heard: readonly string[]; readonly tunnel: string; readonly session: string };
}

const HEADER_LENGTH = 12;
const NO_ERRORS = { hardwareOverruns: 0, bufferOverruns: 0, timeoutErrors: 0, alignmentErrors: 0 };

function established(): World {
  const world = facing({ helloIntervalMs: 0, sessions: [session("lan42", { call: "responder" }), session("lan43")] });
  world.peer.connect();
  return world;
}

function initiated(): World {
  const world = facing({ role: "initiator", helloIntervalMs: 0 });
  world.peer.expect("SCCRQ");
  return world;
}

/** With a session that the peer has called, and the ids for its further messages. */
function withSession() {
  const world = established();
  const icrp = world.peer.call();
  return { world, ids: idsOf(world.peer, icrp.avps.localSessionId) };
}

const OUTGOING = { callType: "outgoing" } as const;

function ocrqOf(peer: ScriptedPeer): ControlMessage<"OCRQ"> {
  const { name: _, ...avps } = peer.icrq();
  return { ...avps, name: "OCRQ" };
}

/** Our OCRQ is there. */
function outgoing() {
  const sessions = [session("lan42", { ...OUTGOING, call: "initiator" })];
  const world = facing({ role: "initiator", helloIntervalMs: 0, sessions });
  world.peer.answer();
  return { world, ocrq: world.peer.expect("OCRQ") };
}

function idsOf(peer: ScriptedPeer, remoteSessionId = 0) {
  return { localSessionId: peer.sessionId, remoteSessionId };
}

const UP = { heard: [], tunnel: "established", session: "established" };

/** The messages of RFC 3931 that a peer may send to us, each in its place. */
export const SITUATIONS = {
  SCCRQ: {
    refusal: "StopCCN",
    lead: () => {
      const world = facing();
      return { world, message: world.peer.sccrq() };
    },
    accepted: { heard: ["SCCRP"], tunnel: "wait-ctl-conn", session: "idle" },
  },
  SCCRP: {
    refusal: "StopCCN",
    lead: () => {
      const world = initiated();
      return { world, message: world.peer.sccrp() };
    },
    accepted: { heard: ["SCCCN", "ICRQ"], tunnel: "established", session: "wait-reply" },
  },
  SCCCN: {
    refusal: "StopCCN",
    lead: () => {
      const world = facing({ helloIntervalMs: 0 });
      world.peer.send(world.peer.sccrq());
      world.peer.expect("SCCRP");
      return { world, message: { name: "SCCCN" } };
    },
    accepted: { heard: [], tunnel: "established", session: "idle" },
  },
  HELLO: {
    refusal: "StopCCN",
    lead: () => ({ world: withSession().world, message: { name: "HELLO" } }),
    accepted: UP,
  },
  StopCCN: {
    refusal: "none",
    lead: () => {
      const { world } = withSession();
      const assignedControlConnectionId = world.peer.ccid;
      return { world, message: { name: "StopCCN", resultCode: { result: 1 }, assignedControlConnectionId } };
    },
    accepted: { heard: [], tunnel: "idle", session: "idle" },
  },
  ICRQ: {
    refusal: "CDN",
    lead: () => {
      const world = established();
      return { world, message: world.peer.icrq() };
    },
    accepted: { heard: ["ICRP"], tunnel: "established", session: "wait-connect" },
  },
  ICRP: {
    refusal: "CDN",
    lead: () => {
      const world = facing({ role: "initiator", helloIntervalMs: 0 });
      world.peer.answer();
      return { world, message: world.peer.icrp(world.peer.expect("ICRQ")) };
    },
    accepted: { heard: ["ICCN"], tunnel: "established", session: "established" },
  },
  ICCN: {
    refusal: "CDN",
    lead: () => {
      const world = established();
      world.peer.send(world.peer.icrq());
      return { world, message: world.peer.iccn(world.peer.expect("ICRP")) };
    },
    accepted: UP,
  },
  CDN: {
    refusal: "none",
    lead: () => {
      const { world, ids } = withSession();
      return { world, message: { name: "CDN", resultCode: { result: 1 }, ...ids } };
    },
    accepted: { heard: [], tunnel: "established", session: "idle" },
  },
  OCRQ: {
    refusal: "CDN",
    lead: () => {
      const world = facing({ helloIntervalMs: 0, sessions: [session("lan42", { ...OUTGOING, call: "responder" })] });
      world.peer.connect();
      return { world, message: ocrqOf(world.peer) };
    },
    // Nothing has to be called first: the OCCN follows the OCRP at once.
    accepted: { heard: ["OCRP", "OCCN"], tunnel: "established", session: "established" },
  },
  OCRP: {
    refusal: "CDN",
    lead: () => {
      const { world, ocrq } = outgoing();
      return { world, message: world.peer.ocrp(ocrq) };
    },
    accepted: { heard: [], tunnel: "established", session: "wait-connect" },
  },
  OCCN: {
    refusal: "CDN",
    lead: () => {
      const { world, ocrq } = outgoing();
      world.peer.send(world.peer.ocrp(ocrq));
      world.link.run(100);
      return { world, message: { name: "OCCN", ...idsOf(world.peer, ocrq.avps.localSessionId) } };
    },
    accepted: UP,
  },
  WEN: {
    refusal: "CDN",
    lead: () => {
      const { world, ids } = withSession();
      return { world, message: { name: "WEN", ...ids, circuitErrors: NO_ERRORS } };
    },
    accepted: UP,
  },
  SLI: {
    refusal: "CDN",
    lead: () => {
      const { world, ids } = withSession();
      return { world, message: { name: "SLI", ...ids, circuitStatus: 1 } };
    },
    accepted: UP,
  },
} as const satisfies Partial<Record<MessageName, Situation>>;

export type SituationName = keyof typeof SITUATIONS;

/** What our LCCE said and what became of it. */
export interface Outcome {
  /** Names of what was said, acknowledgements left out. */
  readonly heard: readonly string[];
  /** Of its StopCCN or CDN. */
  readonly result: { readonly result: number; readonly error?: number; readonly message?: string } | undefined;
  readonly tunnel: string;
  readonly session: string;
  /** Whether the session's device is up. */
  readonly raised: number;
  readonly internalErrors: readonly string[];
}

/** The message with all AVPs of that type (of vendor 0) behind the others. */
function withLast(octets: Uint8Array, type: number): Uint8Array {
  const view = new DataView(octets.buffer, octets.byteOffset);
  const [others, moved]: [string[], string[]] = [[], []];
  for (let offset = HEADER_LENGTH; offset < octets.length; ) {
    const end = offset + (view.getUint16(offset) & 0x3ff);
    (view.getUint16(offset + 4) === type ? moved : others).push(hexOf(octets.subarray(offset, end)));
    offset = end;
  }
  return octetsOfHex(hexOf(octets.subarray(0, HEADER_LENGTH)) + others.join("") + moved.join(""));
}

/** Sends the message, spoilt as told, in its situation. `last`: attribute type of an AVP that comes behind the others. */
export function outcomeOf(name: SituationName, deviation: Deviation = {}, last?: number): Outcome {
  const { world, message } = SITUATIONS[name].lead();
  const { link, node, peer } = world;
  const before = peer.heard.length;
  const octets = peer.compose(message, deviation);
  peer.sendOctets(last === undefined ? octets : withLast(octets, last));
  link.run(500);
  const heard = peer.heard.slice(before).filter((each) => each.name !== "ZLB");
  const view = tunnelOf(node);
  return {
    heard: heard.map((each) => each.name),
    result: heard.find(({ avps }) => avps.resultCode !== undefined)?.avps.resultCode,
    tunnel: view.state,
    session: (view.sessions[0] as SessionView).state,
    raised: node.raised.size,
    internalErrors: internalErrors(node),
  };
}
