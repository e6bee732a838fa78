import { DIALECT_NAMES } from "../control/dialects.ts";
import {
  duration,
  type Format,
  integer,
  isCidr,
  isDnsName,
  isRoute,
  isUnicast,
  listOf,
  oneOf,
  text,
} from "./format.ts";
import { DEFAULT_ADMIN_SOCKET } from "./site.ts";
import {
  absolutePath,
  asciiName,
  cookie,
  endId,
  hookCommand,
  interfaceName,
  listenAddress,
  localAddress,
  metricsAddress,
  mtu,
  netns,
  ROLES,
  routerId,
  secret,
  secretFile,
  staticId,
  tos,
  trueOrFalse,
} from "./value-formats.ts";

/** One key of the configuration file. `default` is written as it would be in the file; null: see `doc`. */
export interface KeyDefinition<T = unknown> {
  /** Sentences for the manual, with units, range and the default where it is not a constant. */
  readonly doc: string;
  readonly format: Format<unknown>;
  readonly default: T;
}

/** An inline table of keys. */
export interface KeyGroup<K = Readonly<Record<string, KeyDefinition>>> {
  readonly doc: string;
  readonly keys: K;
}

function key<T>(format: Format<T>, standard: NoInfer<T>, doc: string): KeyDefinition<T> {
  return { doc, format, default: standard };
}

function optional<T>(format: Format<T>, doc: string): KeyDefinition<T | null> {
  return { doc, format, default: null };
}

export const LCCE_KEYS = {
  hostname: optional(
    asciiName,
    "Host Name AVP (RFC 3931 5.4.3): 1 to 255 US-ASCII characters. Default: the machine's host name.",
  ),
  router_id: optional(
    routerId,
    "Router ID AVP (RFC 3931 5.4.3): an unsigned 32-bit value, dotted or an integer. Default: derived from the first local address.",
  ),
  listen: optional(
    listOf("listen", listenAddress),
    'Addresses that peers may open control connections to: "udp:0.0.0.0:1701", "udp:[::]:1701", "ip:192.0.2.1", "ip:[2001:db8::1]". An empty list: this end only initiates. Default: any address, for each encapsulation and IP version that the tunnels may need.',
  ),
  datapath: key(
    oneOf("datapath", ["auto", "kernel", "userspace", "none"]),
    "auto",
    "Who carries the frames: the kernel's L2TP, this process over TAP devices (userspace), nobody, or the first that works (auto).",
  ),
  admin_socket: key(
    absolutePath,
    DEFAULT_ADMIN_SOCKET,
    "Unix socket that show, watch, events, trace, open, close and reload talk to: an absolute path of at most 107 octets.",
  ),
  freebind: key(
    trueOrFalse,
    false,
    "Listen at addresses of listen at once, even while this machine has them not; else the daemon waits for them.",
  ),
  metrics: optional(
    metricsAddress,
    'Where Prometheus finds metrics over HTTP, at /metrics: "127.0.0.1:9101" or "[::1]:9101", port 1 to 65535. Nobody has to authenticate there. Default: nowhere.',
  ),
  log_level: key(
    oneOf("log-level", ["error", "warn", "info", "debug", "trace"]),
    "info",
    "Least important log lines that are written.",
  ),
} as const;

export const TUNNEL_KEYS = {
  mode: key(
    oneOf("mode", ["dynamic", "static", "hello-only"]),
    "dynamic",
    "dynamic: everything is negotiated; static: all numbers are typed in at both ends, as with ip l2tp; hello-only: the same, and the peer is watched with HELLO.",
  ),
  local_tunnel_id: optional(
    staticId("local-tunnel-id"),
    "Static: the Control Connection ID that the peer sends to, 1 to 4294967295; unique in this file.",
  ),
  remote_tunnel_id: optional(
    staticId("remote-tunnel-id"),
    "Static: the Control Connection ID that we send to, 1 to 4294967295.",
  ),
  dialect: key(
    oneOf("dialect", ["auto", ...DIALECT_NAMES]),
    "auto",
    "How the peer speaks L2TPv3: recognised from what it sends (auto), RFC 3931 to the letter (ietf), Cisco IOS with protocol l2tpv3 (cisco) or l2tpv3ietf (cisco-ietf), Yamaha, MikroTik, or an implementation that grew out of L2TPv2 (rfc2661). Keys that are given win over what a dialect would do.",
  ),
  role: optional(
    oneOf("role", ROLES),
    'Who opens the control connection: this end (initiator), the peer (responder) or both. Default: "both" with peer, else "responder".',
  ),
  peer: optional(
    text(
      "peer",
      'an IPv4 or IPv6 address (link-local: with this end\'s interface, "fe80::2%eth0") or a DNS name',
      (value) => isUnicast(value) || isDnsName(value),
    ),
    "The other LCCE: an IPv4 or IPv6 address or a DNS name. A responder may leave it out and name peer_hostname or peer_router_id.",
  ),
  peer_hostname: optional(asciiName, "The Host Name AVP that the peer must send: 1 to 255 US-ASCII characters."),
  peer_router_id: optional(
    routerId,
    "The Router ID AVP that the peer must send: dotted or an integer from 0 to 4294967295.",
  ),
  peer_port: optional(
    integer("peer-port", 1, 65_535),
    "UDP port of the peer that control connections are opened to: 1 to 65535. Default: 1701.",
  ),
  local: key(
    localAddress,
    "auto",
    'Local address, of the IP version of the peer\'s; "auto" is the one that the route to the peer gives, "@eth0" the first one of that interface, whatever it is at the time. It also says which IP version of a DNS name is meant.',
  ),
  freebind: key(
    trueOrFalse,
    false,
    "Bind the local address even while this machine has it not; else the attempt is repeated as soon as it has.",
  ),
  bind_device: optional(
    interfaceName("bind-device"),
    "Interface or VRF that the sockets of this tunnel are bound to: they send and receive by it alone (SO_BINDTODEVICE). Needs CAP_NET_RAW before Linux 5.7. Default: none.",
  ),
  require_ipsec: key(
    trueOrFalse,
    false,
    "Wait for an IPsec policy of the kernel (ip xfrm policy) that protects what this tunnel sends and receives, and never send in clear: without a policy no message, answer or frame of it leaves. Needs CAP_NET_ADMIN.",
  ),
  netns: optional(
    netns,
    "Network namespace of everything that belongs to this tunnel, as ip netns names it, or an absolute path such as /proc/1234/ns/net. Needs CAP_SYS_ADMIN. DNS names are resolved in the daemon's own. Default: the daemon's own.",
  ),
  local_port: optional(
    integer("local-port", 0, 65_535),
    "Local UDP port of control connections that this end opens: 1 to 65535, or 0 for any free one. Default: 1701.",
  ),
  encapsulation: key(
    oneOf("encapsulation", ["udp", "ip"]),
    "udp",
    "What carries L2TP: UDP (RFC 3931 4.1.2), or IP protocol 115 (4.1.1), which the kernel's datapath alone can.",
  ),
  df: optional(
    trueOrFalse,
    "Don't Fragment in outer headers: true sends nothing that would have to be fragmented, false lets routers fragment. The kernel datapath sends data packets without it whatever stands here. Default: as the kernel does (path MTU discovery).",
  ),
  tos: key(
    tos,
    0,
    "TOS or Traffic Class octet of outer headers, the DSCP times four: 0 to 252. Its two ECN bits have to be 0 (RFC 9601).",
  ),
  ttl: optional(integer("ttl", 1, 255), "Time to live or hop limit of outer headers: 1 to 255. Default: the kernel's."),
  udp_checksum: key(
    trueOrFalse,
    true,
    "UDP checksums in what is sent; false sends 0 (RFC 3931 4.1.2.1; over IPv6 RFC 6935), and over IPv6 takes it too.",
  ),
  secret: optional(
    secret,
    "Shared secret of control message authentication (RFC 3931 4.3), as UTF-8 octets, at most 1024. The empty one turns on nonces and digests that prove nothing but that a message is whole. Default: no authentication.",
  ),
  secret_file: optional(
    secretFile,
    "File with the secret, instead of secret: 1 to 1024 octets, of which one final newline is no part, and no rights for other users (rights of its group give a warning). Relative paths begin at this file's directory.",
  ),
  secret_previous: optional(
    secret,
    "The secret before this one, still accepted while the peer is being changed over (RFC 3931 5.4.1): 1 to 1024 octets.",
  ),
  secret_previous_file: optional(secretFile, "File with the previous secret, instead of secret_previous."),
  digest: optional(
    oneOf("digest", ["md5", "sha1", "none"]),
    'Message Digest AVP of every message sent (RFC 3931 5.4.1): HMAC-MD5, HMAC-SHA-1 or none; without a secret an integrity check. Default: "md5" with a secret or over IP, which has no checksum (RFC 3931 4.1.1.2), else "none".',
  ),
  hidden: key(trueOrFalse, false, "Hide every AVP that may be hidden (RFC 3931 5.3); needs a secret."),
  chap_password: optional(
    secret,
    "Password that both ends prove to each other with Challenge and Challenge Response, as in CHAP (RFC 2661 5.1.1), for peers that want this beside secret or in its place: 1 to 1024 octets. Default: no challenges.",
  ),
  chap_password_file: optional(secretFile, "File with that password, instead of chap_password."),
  hello_interval: key(
    duration("hello-interval", "100ms", "24h", true),
    "60s",
    "Silence after which a HELLO is sent (RFC 3931 4.4): 100 ms to 24 h, or 0 for none.",
  ),
  retransmit: {
    doc: "Retransmission of control messages (RFC 3931 4.2).",
    keys: {
      initial: key(
        duration("retransmit-initial", "10ms", "1m"),
        "1s",
        "Time to the first retransmission, doubled with each: 10 ms to 1 min.",
      ),
      max: key(
        duration("retransmit-max", "10ms", "10m"),
        "8s",
        "Cap of the doubling: 10 ms to 10 min; RFC 3931 4.2 wants at least 8 s.",
      ),
      retries: key(
        integer("retries", 0, 100),
        10,
        "Retransmissions of one message before the peer is held dead: 0 to 100.",
      ),
      sccrq_retries: key(integer("sccrq-retries", 0, 100), 10, "The same for the SCCRQ: 0 to 100."),
    },
  },
  receive_window: optional(
    integer("receive-window", 1, 65_535),
    "Receive Window Size AVP (RFC 3931 5.4.3): control messages that the peer may send unacknowledged, 1 to 65535. Default: 16, which the dialect yamaha does not say.",
  ),
  reconnect: {
    doc: "Repetition of failed and refused attempts, of the tunnel and of its sessions.",
    keys: {
      min: key(
        duration("reconnect-min", "10ms", "24h"),
        "1s",
        "First pause, doubled with each attempt: 10 ms to 24 h.",
      ),
      max: key(duration("reconnect-max", "10ms", "24h"), "60s", "Longest pause: 10 ms to 24 h."),
    },
  },
} as const;

export const SESSION_KEYS = {
  local_session_id: optional(
    staticId("local-session-id"),
    "Static: the Session ID in packets to us, 1 to 4294967295; unique in this file.",
  ),
  remote_session_id: optional(
    staticId("remote-session-id"),
    "Static: the Session ID in packets to the peer, 1 to 4294967295.",
  ),
  local_cookie: optional(
    cookie("local-cookie"),
    "Static: the cookie in packets to us (peer_cookie of ip l2tp), as 8 or 16 hexadecimal digits. Default: none.",
  ),
  remote_cookie: optional(
    cookie("remote-cookie"),
    "Static: the cookie in packets to the peer (cookie of ip l2tp), as 8 or 16 hexadecimal digits. Default: none.",
  ),
  remote_end_id: optional(
    endId("remote-end-id"),
    "Remote End ID AVP (RFC 3931 5.4.4): what both ends call this pseudowire, at most 1017 octets. Default: the session's name.",
  ),
  local_end_id: optional(
    endId("local-end-id"),
    "What the peer calls this end, where that is not remote_end_id (Local End ID AVP, RFC 4667 4.3): at most 1017 octets. Default: remote_end_id.",
  ),
  attachment_group: optional(
    endId("attachment-group"),
    "Attachment Group Identifier AVP (RFC 4667 4.3), within which end ids mean something: at most 1017 octets. Both ends need the same. Default: none.",
  ),
  end_id_format: optional(
    oneOf("end-id-format", ["text", "u32", "hex"]),
    "How remote_end_id, local_end_id and attachment_group become octets: as UTF-8 text, as an unsigned 32-bit integer in 4 octets, or from pairs of hexadecimal digits. Default: text; what a Cisco sends is then recognised in any of the three.",
  ),
  pseudowire: key(
    oneOf("pseudowire", ["ethernet", "vlan"]),
    "ethernet",
    "Pseudowire Type AVP (RFC 4719 2.1): ethernet carries frames as they are, with their tags (port mode); vlan carries those of one VLAN, see vlan. Both ends need the same.",
  ),
  vlan: optional(
    integer("vlan", 1, 4_094),
    'The tag of IEEE 802.1Q that all frames of a pseudowire = "vlan" bear on their way to the peer and from it, and that the device\'s frames do not bear: 1 to 4094. Both ends need the same.',
  ),
  call: optional(
    oneOf("call", ROLES),
    'Who sends the ICRQ, or with call_type = "outgoing" the OCRQ: this end (initiator), the peer (responder) or both. Default: the side that opened the control connection.',
  ),
  call_type: key(
    oneOf("call-type", ["incoming", "outgoing"]),
    "incoming",
    "incoming: the caller places the call itself, with an ICRQ (RFC 3931 7.3); outgoing: it asks the other end to place it, with an OCRQ (RFC 3931 7.4). Both ends need the same.",
  ),
  interface: optional(
    interfaceName("interface"),
    "Name of the network device: 1 to 15 characters. Default: l2-TUNNEL-SESSION, shortened with a hash where that is too long.",
  ),
  cookie_size: key(
    oneOf("cookie-size", [0, 4, 8]),
    8,
    "Octets of the cookie that the peer has to put into every data packet to us (RFC 3931 4.1): 0, 4 or 8.",
  ),
  l2_sublayer: optional(
    oneOf("l2-sublayer", ["none", "default"]),
    "L2-Specific Sublayer that the peer has to use towards us (RFC 3931 4.6). Default: none, with the dialect mikrotik default.",
  ),
  sequencing: key(
    oneOf("sequencing", ["none", "non-ip", "all"]),
    "none",
    'Data Sequencing AVP (RFC 3931 5.4.4): what the peer has to put sequence numbers into, so that frames stay in order: nothing, all but IP frames, or everything. Needs l2_sublayer = "default". With "all", frames without a sequence number are discarded, and what this end sends is sequenced too.',
  ),
  reorder_timeout: key(
    duration("reorder-timeout", "1ms", "10s", true),
    "20ms",
    "How long a frame waits for those before it (RFC 3931 appendix C): 1 ms to 10 s, or 0 to deliver or discard it at once. At 0 Linux discards some good frames after each lost one.",
  ),
  sequence_window: key(
    integer("sequence-window", 1, 8_388_608),
    8_388_608,
    "How many sequence numbers ahead of the one expected are taken for new; the others are old, and discarded (RFC 3931 appendix C): 1 to 8388608, half of all. Userspace datapath only; the kernel's is 8388607.",
  ),
  resync_after: key(
    integer("resync-after", 2, 1_000),
    5,
    "After so many old sequence numbers in a row the peer is held to have begun anew (RFC 3931 appendix C): 2 to 1000. Userspace datapath only; the kernel has a number of its own.",
  ),
  mtu: key(
    mtu,
    "auto",
    'Octets of payload in one Ethernet frame: 576 to 9216; "auto" is what fits the path to the peer unfragmented. In a bridge take the MTU of its other ports, or give them this one: a bridge drops what is too long for a port, and tells nobody.',
  ),
  circuit: optional(
    interfaceName("circuit"),
    "The attachment circuit: an interface of this machine whose condition the peer is told as Circuit Status (RFC 3931 5.4.5). Default: none, always active.",
  ),
  bridge: optional(
    interfaceName("bridge"),
    "An existing bridge that the device joins when the session is up; until it exists the session waits for it. The device has no addresses then: the bridge has them. See mtu.",
  ),
  isolated: key(
    trueOrFalse,
    false,
    "Split horizon: the bridge passes no frames between this device and other isolated ports. Needs bridge.",
  ),
  routes: key(
    listOf(
      "routes",
      text(
        "route",
        'a network with prefix length, and its router ("10.2.0.0/16 via 10.0.0.2", "2001:db8:2::/48")',
        isRoute,
      ),
    ),
    [],
    "IPv4 and IPv6 networks that are reached through the device, behind the router named after via, or without one by asking for each address (ARP, neighbour discovery); put back whenever it is made anew or set up again.",
  ),
  addresses: key(
    listOf("addresses", text("cidr", 'an address with prefix length ("10.0.0.1/30", "2001:db8::1/64")', isCidr)),
    [],
    "IPv4 and IPv6 addresses of the device, with prefix length.",
  ),
} as const;

function hook(when: string): KeyDefinition<readonly string[] | null> {
  return optional(
    hookCommand,
    `What is run ${when}: the absolute path of an executable, and its arguments. Without a shell, with the daemon's rights. Default: nothing.`,
  );
}

export const HOOK_KEYS = {
  "tunnel-up": hook("when a control connection is established"),
  "tunnel-down": hook("when an established control connection has ended"),
  "session-up": hook("when a session is established"),
  "session-down": hook("when an established session has ended"),
  "circuit-status": hook("when the circuit of either end of an established session becomes active or inactive"),
  timeout: key(
    duration("hook-timeout", "100ms", "10m"),
    "10s",
    "How long one of them may run before it gets SIGTERM, and two seconds later SIGKILL: 100 ms to 10 min.",
  ),
} as const;

/** The values of a table with every default filled in. */
export type Complete<K> = {
  readonly [P in keyof K]: K[P] extends KeyDefinition<infer T>
    ? T
    : K[P] extends KeyGroup<infer G>
      ? Complete<G>
      : never;
};

/** The values of a table as far as the file gives them. */
export type Given<K> = {
  readonly [P in keyof K]?: K[P] extends KeyDefinition<infer T>
    ? Exclude<T, null>
    : K[P] extends KeyGroup<infer G>
      ? Given<G>
      : never;
};

export type LcceValues = Complete<typeof LCCE_KEYS>;
export type HookValues = Complete<typeof HOOK_KEYS>;
export type TunnelValues = Complete<typeof TUNNEL_KEYS>;
export type SessionValues = Complete<typeof SESSION_KEYS>;
