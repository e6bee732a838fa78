import type { CallMessage, CallRole } from "../fsm/call.ts";
import { type L2Sublayer, type Sequencing, sendsSequenced } from "./admission.ts";
import type { SessionConfiguration } from "./configuration.ts";
import type { CircuitCondition, CircuitErrorCounts, DeviceSettings, Instant, SessionParameters } from "./core.ts";
import type { Dialect } from "./dialects.ts";
import type { Ending } from "./ending.ts";
import type { Outcomes } from "./statistics.ts";

export const NO_OCTETS = new Uint8Array(0);
export const NO_ERRORS: CircuitErrorCounts = { hardwareOverruns: 0, bufferOverruns: 0, timeouts: 0, alignments: 0 };

/** The attachment circuit of this end, and what the peer has been told of it. */
export interface CircuitState {
  condition: CircuitCondition;
  /** Circuit Status as the peer was told it last in this call. */
  advertised: number;
  /** When the last SLI was sent; `undefined`: none in this call. */
  advertisedAt: Instant | undefined;
  /** Errors as the machine counts them, and as they stood when the call began; `undefined`: as they are told next. */
  errors: CircuitErrorCounts;
  errorsAtBegin: CircuitErrorCounts | undefined;
  /** The errors that the last WEN of this call told, and when; `undefined`: none was sent. */
  warned: { readonly errors: CircuitErrorCounts; readonly at: Instant } | undefined;
}

/** Plain data: everything that makes a session what it is. */
export interface SessionState {
  readonly name: string;
  role: CallRole;
  /** The RFC's state name (RFC 3931 7.3, 7.4). */
  state: string;
  /** Local id of its control connection; 0 while it has none. */
  localControlConnectionId: number;
  /** 0 while there is no call. */
  localSessionId: number;
  remoteSessionId: number;
  localCookie: Uint8Array;
  remoteCookie: Uint8Array;
  l2Sublayer: L2Sublayer;
  /** What we ask the peer to sequence. */
  sequencing: Sequencing;
  /** What the peer asks us to sequence. */
  peerSequencing: Sequencing;
  tieBreaker: Uint8Array | undefined;
  /** The peer's message that waits for the datapath's word: only then is it known to be acceptable. */
  held: CallMessage | undefined;
  /** asked: it has not answered yet. ready: it has made the session, or has lost it and waits to be told to delete it. */
  datapath: "none" | "asked" | "ready";
  /** The datapath was told to let frames flow. */
  forwarding: boolean;
  readonly circuit: CircuitState;
  /** Circuit Status as the peer last told it (RFC 3931 5.4.5). */
  remoteCircuitStatus: number;
  /** Errors of the peer's circuit as its last WEN told them (RFC 3931 6.13). */
  remoteErrors: CircuitErrorCounts;
  /** Failed attempts in a row. */
  failures: number;
  /** When the last attempt succeeded, until what came of it has failed. */
  heldSince: Instant | undefined;
  /** Calls that were established, attempts and calls that failed: since the daemon began. */
  readonly outcomes: Outcomes;
  /** An administrator closed it; until an administrator opens it. */
  closed: boolean;
  since: Instant;
  lastError: string;
  /** How its last call or attempt ended; `undefined`: none has. */
  ended: Ending | undefined;
}

export function initialSessionState(configuration: SessionConfiguration, now: Instant): SessionState {
  return {
    name: configuration.name,
    role: "icrq-recipient",
    state: "idle",
    localControlConnectionId: 0,
    localSessionId: 0,
    remoteSessionId: 0,
    localCookie: NO_OCTETS,
    remoteCookie: NO_OCTETS,
    l2Sublayer: configuration.l2Sublayer,
    sequencing: configuration.sequencing,
    peerSequencing: "none",
    tieBreaker: undefined,
    held: undefined,
    datapath: "none",
    forwarding: false,
    circuit: {
      condition: "up",
      advertised: 0,
      advertisedAt: undefined,
      errors: NO_ERRORS,
      errorsAtBegin: NO_ERRORS,
      warned: undefined,
    },
    remoteCircuitStatus: 0,
    remoteErrors: NO_ERRORS,
    failures: 0,
    heldSince: undefined,
    outcomes: { established: 0, failed: 0 },
    closed: false,
    since: now,
    lastError: "",
    ended: undefined,
  };
}

/** Of a session that begins anew under its name, with another configuration: what people counted and did stays. */
export function succeed(
  before: SessionState | undefined,
  configuration: SessionConfiguration,
  now: Instant,
): SessionState {
  const state = initialSessionState(configuration, now);
  return before === undefined ? state : { ...state, closed: before.closed, outcomes: before.outcomes };
}

/** What can be changed on the device while the session is up. */
export function deviceSettings({ mtu, bridge, isolated, addresses, routes }: SessionConfiguration): DeviceSettings {
  return { mtu, bridge, isolated, addresses, routes };
}

/** What a call says before the peer has. */
export function offeredSublayer({ leftToDialect, l2Sublayer }: SessionConfiguration, dialect: Dialect): L2Sublayer {
  return leftToDialect?.l2Sublayer === true ? dialect.l2Sublayer : l2Sublayer;
}

/** The session as the datapath has to make it. */
export function sessionParameters(
  localControlConnectionId: number,
  { localSessionId, remoteSessionId, localCookie, remoteCookie, l2Sublayer, peerSequencing }: SessionState,
  configuration: SessionConfiguration,
): SessionParameters {
  return {
    localControlConnectionId,
    localSessionId,
    remoteSessionId,
    localCookie,
    remoteCookie,
    l2Sublayer,
    sendSequencing: sendsSequenced(peerSequencing, configuration),
    // Not what the peer's wish has made of it: it may not hear of that before the last message.
    receiveSequencing: configuration.sequencing,
    reorderTimeoutMs: configuration.reorderTimeoutMs,
    sequenceWindow: configuration.sequenceWindow,
    resyncAfter: configuration.resyncAfter,
    interfaceName: configuration.interfaceName,
    vlan: configuration.vlan,
    ...deviceSettings(configuration),
  };
}
