/**
 * What the core has to know of the site: plain, checked values, durations in milliseconds.
 * `config` makes these from TOML; tests write them by hand.
 */

import type { DialectChoice } from "./dialects.ts";

/** How an end id is written as octets (RFC 3931 5.4.4): as text, as an unsigned 32-bit integer, from hex digits. */
export type EndIdFormat = "text" | "u32" | "hex";

/** Who opens a control connection, or places a call: this end, the other end, or whoever comes first. */
export type Role = "initiator" | "responder" | "both";

/** Retransmission policy of one control connection (RFC 3931 4.2). */
export interface RetransmitConfiguration {
  /** Time until the first retransmission; it doubles with each one. */
  readonly initialMs: number;
  /** The cap of that doubling; the RFC wants 8 s or more. */
  readonly maxMs: number;
  /** Retransmissions of one message before the peer is held dead: 2 means three transmissions in all. */
  readonly retries: number;
  /** The same for the SCCRQ alone. */
  readonly sccrqRetries: number;
}

/** Control message authentication and hiding of AVPs (RFC 3931 4.3, 5.3). */
export interface AuthenticationConfiguration {
  /**
   * Octets. The first is the secret; a second, the previous one, is accepted as well. Empty: no authentication. One of
   * no octets: nonces and digests that prove nothing but that the message is whole.
   */
  readonly secrets: readonly Uint8Array[];
  /** Of what is sent. "none": no digest; without secrets the others are an integrity check. */
  readonly digest: "md5" | "sha1" | "none";
  /** Hide every AVP that may be hidden; needs a secret. */
  readonly hidden: boolean;
  /** Octets. Each end has to prove to the other that it knows them, as in CHAP (RFC 2661 5.1.1); `undefined`: neither. */
  readonly chapPassword: Uint8Array | undefined;
}

/** What is typed in at both ends of a tunnel that nothing is negotiated for. */
export interface StaticTunnelConfiguration {
  /** 1 to 2^32-1; unique in the site. */
  readonly localTunnelId: number;
  readonly remoteTunnelId: number;
  /** mode = "hello-only": the peer is asked with HELLO whether it is there (RFC 3931 4.4). */
  readonly watched: boolean;
}

/** The same for a session of such a tunnel. */
export interface StaticSessionConfiguration {
  /** 1 to 2^32-1; unique in the site. */
  readonly localSessionId: number;
  readonly remoteSessionId: number;
  /** The cookie that we expect: 0, 4 or 8 octets. */
  readonly localCookie: Uint8Array;
  /** The cookie that the peer expects: 0, 4 or 8 octets. */
  readonly remoteCookie: Uint8Array;
}

export interface SessionConfiguration {
  readonly name: string;
  /** Present in a tunnel that has its own `static`, and there alone. */
  readonly static?: StaticSessionConfiguration;
  /** The octets of the Remote End ID AVP (RFC 3931 5.4.4): what the two ends must agree on. */
  readonly remoteEndId: Uint8Array;
  /** The type of both ends (RFC 4719 2.1): all frames as they are, or those of one VLAN. */
  readonly pseudowire: "ethernet" | "vlan";
  /** The tag of IEEE 802.1Q on the wire, 1 to 4094: there with pseudowire "vlan", and there alone. */
  readonly vlan: number | undefined;
  /** Who sends the ICRQ. `undefined`: the side that opened the control connection. */
  readonly call: Role | undefined;
  /** "outgoing": the caller asks the other end to place the call, with an OCRQ (RFC 3931 7.4). RFC 4719 has "incoming". */
  readonly callType: "incoming" | "outgoing";
  /** Octets of the Attachment Group Identifier (RFC 4667 4.3); none: the default group. */
  readonly attachmentGroup: Uint8Array;
  /** What the peer calls this end, where the two ends have different names (Local End ID AVP, RFC 4667 4.3). */
  readonly localEndId: Uint8Array | undefined;
  /** Interface whose condition the peer is told as Circuit Status (RFC 3931 5.4.5); `undefined`: always active. */
  readonly circuit: string | undefined;
  /** At most 15 characters, unique on the machine. */
  readonly interfaceName: string;
  /** What the file does not say: the dialect settles it, and what stands here is RFC 3931's. Absent: nothing. */
  readonly leftToDialect?: { readonly l2Sublayer: boolean; readonly endIdFormat: boolean };
  /** Octets of the cookie that the peer shall put into every data packet to us. */
  readonly cookieSize: 0 | 4 | 8;
  /** The L2-Specific Sublayer that the peer shall put into data packets to us (RFC 3931 4.6). */
  readonly l2Sublayer: "none" | "default";
  /** What the peer shall put sequence numbers into (Data Sequencing AVP, RFC 3931 5.4.4); not "none": needs the sublayer. */
  readonly sequencing: "none" | "non-ip" | "all";
  /** How long a frame waits for those that were sent before it (RFC 3931 appendix C); 0: not at all. */
  readonly reorderTimeoutMs: number;
  /** How many of the 2^24 sequence numbers are ahead of the one expected: the others are old (RFC 3931 appendix C). */
  readonly sequenceWindow: number;
  /** After so many old sequence numbers in a row the peer is held to have begun anew (RFC 3931 appendix C). */
  readonly resyncAfter: number;
  /** Octets of the payload frame without its Ethernet header; "auto" is what fits the path unfragmented. */
  readonly mtu: number | "auto";
  readonly bridge: string | undefined;
  /** Its port hears nothing from other isolated ports of the bridge: split horizon. */
  readonly isolated: boolean;
  /** CIDR notation: "10.0.0.1/30". */
  readonly addresses: readonly string[];
  /** Destinations that are reached through the device, in CIDR notation: "10.2.0.0/16", or "10.2.0.0/16 via 10.0.0.2". */
  readonly routes: readonly string[];
}

export interface TunnelConfiguration {
  readonly name: string;
  /** Absent: everything is negotiated. */
  readonly static?: StaticTunnelConfiguration;
  /** Absent: "auto", which is recognised from what the peer sends. */
  readonly dialect?: DialectChoice;
  /** What the file does not say: the dialect settles it. Absent: nothing. */
  readonly leftToDialect?: { readonly receiveWindow: boolean };
  readonly role: Role;
  /** Address or DNS name. A responder may do without and select the peer by host name or Router ID. */
  readonly peer: string | undefined;
  readonly peerHostname: string | undefined;
  readonly peerRouterId: number | undefined;
  readonly peerPort: number;
  /** Local address, of the peer's IP version, "auto": what the route to the peer gives, "@eth0": the first of that interface. */
  readonly local: string;
  /** 0: any free port. */
  readonly localPort: number;
  /** Over IP there are no ports: `peerPort` and `localPort` mean nothing then. */
  readonly encapsulation: "udp" | "ip";
  /** Don't Fragment in what is sent; `undefined`: as the kernel does by default. */
  readonly df: boolean | undefined;
  /** Octet of the outer header with DSCP; its two ECN bits are 0. */
  readonly tos: number;
  /** Time to live or hop limit of what is sent; `undefined`: the kernel's default. */
  readonly ttl: number | undefined;
  /** False: the UDP checksum of data packets is 0. */
  readonly udpChecksum: boolean;
  /** Bind `local` even while the machine has no such address. */
  readonly freebind: boolean;
  /** Network namespace of everything that belongs to the tunnel: a name or an absolute path; `undefined`: the daemon's own. */
  readonly netns: string | undefined;
  /** Interface or VRF that the control connections' sockets are bound to. */
  readonly bindDevice: string | undefined;
  /** Nothing of it leaves, and no SCCRQ is answered, unless an IPsec policy protects both ways. Absent: false. */
  readonly requireIpsec?: boolean;
  readonly authentication: AuthenticationConfiguration;
  /** Silence after which a HELLO is sent (RFC 3931 4.4); 0 sends none. */
  readonly helloIntervalMs: number;
  readonly retransmit: RetransmitConfiguration;
  /** Receive Window Size AVP, 1 to 65535. */
  readonly receiveWindow: number;
  /** Pause before a failed or refused attempt is repeated; doubles from min to max. */
  readonly reconnect: { readonly minMs: number; readonly maxMs: number };
  readonly sessions: readonly SessionConfiguration[];
}

export interface LcceConfiguration {
  /** Host Name AVP: 1 or more octets of US-ASCII. */
  readonly hostname: string;
  /** Router ID AVP: an opaque unsigned 32-bit value. */
  readonly routerId: number;
  readonly tunnels: readonly TunnelConfiguration[];
}
