import type { CircuitErrorCounts, Instant } from "./core.ts";
import type { DialectName } from "./dialects.ts";

/** What `show` tells of a session. Everything configured is listed, up or not. */
export interface SessionView {
  readonly name: string;
  /**
   * The RFC's state name (RFC 3931 7.3, 7.4): "idle", "wait-control-conn", "wait-reply", "wait-connect",
   * "wait-cs-answer", "established".
   */
  readonly state: string;
  /** 0 while none is assigned. */
  readonly localSessionId: number;
  readonly remoteSessionId: number;
  readonly interfaceName: string;
  readonly pseudowire: "ethernet" | "vlan";
  /** The tag of a "vlan" pseudowire. */
  readonly vlan: number | undefined;
  readonly localCookieSize: number;
  readonly remoteCookieSize: number;
  readonly l2Sublayer: "none" | "default";
  /** What each end asks the other to put sequence numbers into. */
  readonly localSequencing: "none" | "non-ip" | "all";
  readonly remoteSequencing: "none" | "non-ip" | "all";
  readonly localCircuitActive: boolean;
  /** Active and not on standby: frames may be sent. */
  readonly remoteCircuitActive: boolean;
  /** Errors of the peer's circuit, as its last WEN told them: cumulative since the call began. */
  readonly remoteErrors: CircuitErrorCounts;
  readonly since: Instant;
  /** A sentence; empty when nothing went wrong. */
  readonly lastError: string;
}

export interface TunnelView {
  readonly name: string;
  /** The RFC's state name (RFC 3931 7.2): "idle", "wait-ctl-reply", "wait-ctl-conn", "established". */
  readonly state: string;
  /** Its network namespace; `undefined`: the daemon's own. */
  readonly netns: string | undefined;
  /** As configured, and once known the address and port really used. */
  readonly peer: string;
  readonly localControlConnectionId: number;
  readonly remoteControlConnectionId: number;
  readonly encapsulation: "udp" | "ip";
  /** Whether an IPsec policy is required, and protects the connection that there is; "" where none is required. */
  readonly ipsec: "" | "required" | "protected";
  readonly peerHostname: string;
  /** How the peer is spoken to; "" while it is to be recognised from what it sends. */
  readonly dialect: DialectName | "";
  /** "configured", or what the peer was recognised by. */
  readonly dialectBy: string;
  /** `undefined` until the peer has told it. */
  readonly peerRouterId: number | undefined;
  /** Messages dropped because their digest was missing or wrong (RFC 3931 4.3), since the daemon began. */
  readonly wrongDigests: number;
  readonly since: Instant;
  /** What keeps it down at the moment, or was wrong last: a sentence; empty when nothing is. */
  readonly lastError: string;
  readonly sessions: readonly SessionView[];
}

export interface LcceView {
  readonly hostname: string;
  readonly routerId: number;
  readonly tunnels: readonly TunnelView[];
}
