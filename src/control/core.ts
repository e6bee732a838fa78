import type { AuthenticationConfiguration, TunnelConfiguration } from "./configuration.ts";
import type { LcceView } from "./view.ts";

/** Milliseconds on a monotonic clock. Only differences mean anything. */
export type Instant = number;

/**
 * Where L2TP comes from or goes to. The address in the one form that `canonicalAddress` makes: IPv4 dotted, IPv6 as in
 * RFC 5952, a link-local one with its link ("fe80::1%eth0"). Port 0: L2TP over IP, which has no ports (RFC 3931 4.1.1).
 */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** A local address and port, and where on the machine its socket is. */
export interface LocalEndpoint extends Endpoint {
  /** Absent: the daemon's own network namespace. In two of them the same addresses may be anybody's. */
  readonly netns?: string | undefined;
  /** Interface or VRF that the socket is bound to; absent: none. */
  readonly device?: string | undefined;
}

/** The only source of chance. Real ones must be cryptographically strong (RFC 3931 8.2); tests seed theirs. */
export interface Entropy {
  /** Uniform over 0 .. 2^32-1. */
  uint32(): number;
  octets(length: number): Uint8Array;
  /** The same for nonces, cookies and challenges: what must not get into a recording. */
  secretOctets(length: number): Uint8Array;
}

/** What the datapath needs to carry one session. */
export interface SessionParameters extends DeviceSettings {
  readonly localControlConnectionId: number;
  readonly localSessionId: number;
  readonly remoteSessionId: number;
  /** The cookie that we assigned and expect in what arrives: 0, 4 or 8 octets. */
  readonly localCookie: Uint8Array;
  /** The cookie that the peer assigned and that we put into what we send: 0, 4 or 8 octets. */
  readonly remoteCookie: Uint8Array;
  readonly l2Sublayer: "none" | "default";
  /** Put sequence numbers into all that is sent; only with the sublayer. */
  readonly sendSequencing: boolean;
  /**
   * What the peer was asked to sequence. "all": frames without a sequence number are discarded. "non-ip": those with one
   * are put in order, the others pass.
   */
  readonly receiveSequencing: "none" | "non-ip" | "all";
  /** How long a frame waits for those before it; 0: not at all. */
  readonly reorderTimeoutMs: number;
  /** See `SessionConfiguration`. */
  readonly sequenceWindow: number;
  readonly resyncAfter: number;
  readonly interfaceName: string;
  /** The tag that frames bear on the wire and not in the device; `undefined`: they are as they are. */
  readonly vlan: number | undefined;
}

/** What a session's device has of the configuration alone, so that it can be changed while frames flow. */
export interface DeviceSettings {
  /** Octets; "auto": as much as fits the path to the peer unfragmented. */
  readonly mtu: number | "auto";
  readonly bridge: string | undefined;
  readonly isolated: boolean;
  readonly addresses: readonly string[];
  readonly routes: readonly string[];
}

/**
 * An attachment circuit as the machine sees it: "down" was set down or does not exist, "no-carrier" is set up and has
 * lost its link.
 */
export type CircuitCondition = "up" | "no-carrier" | "down";

/** Errors of an attachment circuit, counted since any instant; each an unsigned 32-bit number (RFC 3931 6.13). */
export interface CircuitErrorCounts {
  readonly hardwareOverruns: number;
  readonly bufferOverruns: number;
  readonly timeouts: number;
  readonly alignments: number;
}

/** Everything that can happen to an LCCE. A recording of a day in its life is an array of these. */
export type Input =
  | { readonly type: "start" }
  /** A control message (T bit set; Ver 3, or Ver 2 without ids). `to` is the local address and port of the socket that received it. */
  | {
      readonly type: "datagram";
      readonly from: Endpoint;
      readonly to: LocalEndpoint;
      readonly octets: Uint8Array;
      /** The answer to `check-protection`: an IPsec policy protects what is sent in answer. */
      readonly protected?: true;
    }
  /** `others`: what else the name stands for, to be tried after `address`. */
  | {
      readonly type: "peer-resolved";
      readonly tunnel: string;
      /** What was asked for; absent, as in older recordings: what the tunnel has now. */
      readonly host?: string;
      readonly address: string;
      readonly others?: readonly string[];
    }
  | { readonly type: "peer-unresolved"; readonly tunnel: string; readonly host?: string; readonly reason: string }
  | { readonly type: "socket-failed"; readonly localControlConnectionId: number; readonly reason: string }
  | { readonly type: "tunnel-created"; readonly localControlConnectionId: number }
  | { readonly type: "tunnel-refused"; readonly localControlConnectionId: number; readonly reason: string }
  | { readonly type: "session-created"; readonly localSessionId: number }
  | { readonly type: "session-refused"; readonly localSessionId: number; readonly reason: string }
  /** Data packets received on all sessions of the connection since it began: the answer to `query-activity`. */
  | { readonly type: "activity"; readonly localControlConnectionId: number; readonly receivedPackets: number }
  /** For every session whose `circuit`, or own device where it has none, is this interface; nothing is told of an interface that is up from the start. */
  | {
      readonly type: "circuit";
      readonly interfaceName: string;
      /** Whose interface it is; absent: the daemon's own network namespace. */
      readonly netns?: string | undefined;
      readonly condition: CircuitCondition;
    }
  | {
      readonly type: "circuit-errors";
      readonly interfaceName: string;
      readonly netns?: string | undefined;
      readonly errors: CircuitErrorCounts;
    }
  /** An address, a route, or an interface that the configuration names has come or changed: what failed may succeed. */
  | {
      readonly type: "surroundings-changed";
      /** Where; null: in the daemon's own network namespace; absent, as in older recordings: anywhere. */
      readonly netns?: string | null;
    }
  /** The machine no longer has the address that this connection's socket is bound to. */
  | { readonly type: "address-lost"; readonly localControlConnectionId: number; readonly reason: string }
  /** The other answer to `check-protection`: without an answer of ours the SCCRQ is as if it had never come. */
  | { readonly type: "unprotected"; readonly tunnel: string; readonly reason: string }
  /** No IPsec policy protects any more what this connection's socket sends; the kernel lets nothing of it out. */
  | { readonly type: "protection-lost"; readonly localControlConnectionId: number; readonly reason: string }
  /** The IPsec policy has come that a socket of this tunnel could not be opened without. */
  | { readonly type: "protection-found"; readonly tunnel: string }
  /** The network namespace of tunnels is not there (any more): everything of them is to be given up. */
  | { readonly type: "namespace-lost"; readonly netns: string; readonly reason: string }
  | { readonly type: "namespace-found"; readonly netns: string }
  | { readonly type: "open"; readonly tunnel: string; readonly session?: string }
  | { readonly type: "close"; readonly tunnel: string; readonly session?: string }
  /**
   * From now on this is the tunnel's. Established connections go on, with it if they can: between authenticated and not,
   * and between digests and none, a change is for new connections alone.
   */
  | {
      readonly type: "authentication-changed";
      readonly tunnel: string;
      readonly authentication: AuthenticationConfiguration;
    }
  /**
   * From now on these are the tunnels, in this order. What is as it was goes on untouched, what can be changed in place is
   * changed so (`changes.ts`), the rest is closed, opened, or both.
   */
  | { readonly type: "configuration-changed"; readonly tunnels: readonly TunnelConfiguration[] }
  /** Say StopCCN to everyone. Over when `idle()`. */
  | { readonly type: "shutdown" };

export type LogLevel = "error" | "warn" | "info" | "debug" | "trace";

export interface LogEffect {
  readonly type: "log";
  readonly level: LogLevel;
  /** A short constant name of what happened, for machines: "control-connection-established". */
  readonly event: string;
  /** One sentence, for people. Never a secret, nonce or cookie. */
  readonly message: string;
  readonly tunnel?: string;
  readonly session?: string;
  readonly details?: Readonly<Record<string, string | number | boolean>>;
}

/** What the shell has to do, in this order. */
export type Effect =
  /** Without `remote` the socket takes datagrams from anyone. `localControlConnectionId` names it from now on. */
  | {
      readonly type: "open-socket";
      /** Whose configuration says what kind of socket it is to be. */
      readonly tunnel: string;
      readonly encapsulation: "udp" | "ip";
      readonly localControlConnectionId: number;
      /** Its address may be "@eth0": the first one of that interface. */
      readonly local: Endpoint;
      readonly remote: Endpoint | undefined;
      /** The IP version of the peer's address. */
      readonly family: 4 | 6;
      /** Only while an IPsec policy protects what goes to this endpoint and comes from it; absent: in any case. */
      readonly protect?: Endpoint;
    }
  | { readonly type: "connect-socket"; readonly localControlConnectionId: number; readonly remote: Endpoint }
  | { readonly type: "close-socket"; readonly localControlConnectionId: number }
  | {
      readonly type: "send";
      readonly localControlConnectionId: number;
      readonly to: Endpoint;
      readonly octets: Uint8Array;
    }
  /** Answer without a connection, from the listener whose local address and port is `from`. */
  | { readonly type: "reply"; readonly from: LocalEndpoint; readonly to: Endpoint; readonly octets: Uint8Array }
  /**
   * Whether an IPsec policy protects an answer to this SCCRQ: then the input `datagram` brings it once more, as protected;
   * else `unprotected` comes. From then on the kernel lets no answer out in clear.
   */
  | {
      readonly type: "check-protection";
      readonly tunnel: string;
      readonly from: Endpoint;
      readonly to: LocalEndpoint;
      readonly octets: Uint8Array;
    }
  /** `family`: the IP version that the answer has to be of; `undefined`: any. */
  | {
      readonly type: "resolve-peer";
      readonly tunnel: string;
      readonly host: string;
      readonly family: 4 | 6 | undefined;
    }
  | {
      readonly type: "create-tunnel";
      readonly localControlConnectionId: number;
      readonly remoteControlConnectionId: number;
    }
  /** The tunnel and every session in it. */
  | { readonly type: "delete-tunnel"; readonly localControlConnectionId: number }
  | { readonly type: "create-session"; readonly session: SessionParameters }
  /** Let frames flow: the session is established and the peer's circuit is active. */
  | { readonly type: "raise-session"; readonly localSessionId: number }
  /** No frames, either way, until it is raised again: the peer's circuit is down or on standby (RFC 3931 5.4.5). */
  | { readonly type: "lower-session"; readonly localSessionId: number }
  | { readonly type: "delete-session"; readonly localSessionId: number }
  /** Of a session that was created: its device is to be like this from now on, and frames flow meanwhile. */
  | { readonly type: "change-session"; readonly localSessionId: number; readonly settings: DeviceSettings }
  | { readonly type: "query-activity"; readonly localControlConnectionId: number }
  | LogEffect;

/** The sans-IO contract. Deterministic: same inputs, same instants, same entropy, same effects. */
export interface Core {
  receive(input: Input, now: Instant): readonly Effect[];
  /** Performs what is due at `now`. */
  expire(now: Instant): readonly Effect[];
  /** When `expire` has to be called next; `undefined`: not before another input. */
  nextDeadline(): Instant | undefined;
  /** True when no control connection waits for its peer; lingering ones only answer what comes. */
  idle(): boolean;
  /** Of all tunnels, or of the one with this name. */
  view(tunnel?: string): LcceView;
}
