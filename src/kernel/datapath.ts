/** A managed tunnel: it lives on the connection's own socket and dies with it. */
export interface TunnelRequest {
  readonly localControlConnectionId: number;
  readonly remoteControlConnectionId: number;
  readonly encapsulation: "udp" | "ip";
  /** The network namespace of that socket, where the devices of its sessions will be; absent: the daemon's own. */
  readonly netns?: string | undefined;
  /** The connected socket of the control connection. */
  readonly fd: number;
  /**
   * Called with each control datagram (T bit set, Ver 3, at least 12 octets) by datapaths that read the socket themselves from now on (see
   * `Datapath.readsSocket`); others never call it.
   */
  readonly onControlDatagram: (octets: Uint8Array) => void;
}

/** What the device of a session is to be, and can be made while frames flow. */
export interface DeviceSettings {
  /** Octets; "auto": the path's MTU (IP_MTU or IPV6_MTU of the socket) less all headers. */
  readonly mtu: number | "auto";
  /** A bridge that must exist. */
  readonly bridge: string | undefined;
  /** Frames do not pass between two isolated ports of the bridge (IFLA_BRPORT_ISOLATED). */
  readonly isolated: boolean;
  /** CIDR notation. */
  readonly addresses: readonly string[];
  /** Destinations in CIDR notation, reached through the device while it is up: "10.2.0.0/16", "10.2.0.0/16 via 10.0.0.2". */
  readonly routes: readonly string[];
}

/** An Ethernet pseudowire and the network device that ends it. */
export interface SessionRequest extends DeviceSettings {
  readonly localControlConnectionId: number;
  /** Not 0; unique among all sessions of this machine. */
  readonly localSessionId: number;
  readonly remoteSessionId: number;
  /** Expected in what arrives: 0, 4 or 8 octets. */
  readonly localCookie: Uint8Array;
  /** Put into what is sent: 0, 4 or 8 octets. */
  readonly remoteCookie: Uint8Array;
  readonly l2Sublayer: "none" | "default";
  /** Put sequence numbers into all that is sent; only with the sublayer (RFC 3931 4.6). */
  readonly sendSequencing: boolean;
  /**
   * "all": frames without a sequence number are discarded. "non-ip": those with one are put in order, the others pass.
   * The kernel does the latter in any case, and discards what has none where `sendSequencing` is set, too.
   */
  readonly receiveSequencing: "none" | "non-ip" | "all";
  /** How long a frame waits for those before it (RFC 3931 appendix C); 0: not at all. */
  readonly reorderTimeoutMs: number;
  /** 1 to 2^23: sequence numbers ahead of the one expected that are new. The kernel has its own. */
  readonly sequenceWindow: number;
  /** So many old sequence numbers in a row are a new beginning. The kernel has its own. */
  readonly resyncAfter: number;
  /** At most 15 characters. */
  readonly interfaceName: string;
  /**
   * 1 to 4094: the tag of IEEE 802.1Q that frames bear on the wire and not in the device; those with another tag, or none,
   * are discarded. `undefined`: frames are as they are, tags included.
   */
  readonly vlan: number | undefined;
}

/** A session of an earlier process, and how far that had come with it. */
export interface AdoptedSession {
  readonly session: SessionRequest;
  /** The datapath had said that it is there. */
  readonly made: boolean;
  /** Frames flow, or are to. */
  readonly raised: boolean;
}

/** Counters of one session since it was made. */
export interface SessionCounters {
  readonly localControlConnectionId: number;
  readonly localSessionId: number;
  readonly receivedPackets: number;
  readonly receivedOctets: number;
  readonly receiveErrors: number;
  /** Those among them that the sequence numbers cost: late, twice, or without one where there ought to be. */
  readonly sequenceDiscards: number;
  /** Those among them whose cookie was not ours: a wrong peer, a forger, or an end that has begun anew. */
  readonly cookieDiscards: number;
  readonly sentPackets: number;
  readonly sentOctets: number;
  readonly sendErrors: number;
}

/** What a datapath tells without having been asked. Nothing of it is told while or after it closes. */
export interface DatapathEvents {
  /**
   * The device of a session is gone, or its thread is: it carries nothing any more. The session stays known until
   * `deleteSession` or the end of its tunnel; only then can it be made anew.
   */
  sessionLost(localSessionId: number, reason: string): void;
  /**
   * The thread that carried the tunnel died: the tunnel is gone with all its sessions, of which nothing is told one by
   * one. Nobody reads its socket any more where the datapath did. The next `createTunnel` starts a new thread.
   */
  tunnelLost(localControlConnectionId: number, reason: string): void;
  /**
   * "down": the device of an established session takes no frames, because somebody set it down or its bridge is gone. "up":
   * it does again. Nothing is told of devices that are as they should be from the start, nor of `lowerSession`.
   */
  portChanged(interfaceName: string, condition: "up" | "down", netns?: string): void;
  /** Somebody interfered with a device, and what was done about it. */
  noticed(notice: DeviceNotice): void;
}

/** The same, as it comes from a thread. */
export type DatapathNews =
  | { readonly type: "session-lost"; readonly localSessionId: number; readonly reason: string }
  | { readonly type: "tunnel-lost"; readonly localControlConnectionId: number; readonly reason: string }
  | { readonly type: "port"; readonly interfaceName: string; readonly condition: "up" | "down" }
  | { readonly type: "notice"; readonly notice: DeviceNotice };

/** A line for the log. */
export interface DeviceNotice {
  readonly level: "info" | "warn";
  readonly event: "device-restored" | "device-down" | "device-up" | "route-taken";
  readonly interfaceName: string;
  /** Absent: the daemon's own network namespace. */
  readonly netns?: string;
  readonly message: string;
}

/**
 * Where frames flow. Requests are carried out in the order of the calls; every rejection is a `KernelError`.
 * Deleting what does not exist is no error.
 */
export interface Datapath {
  readonly name: "kernel" | "userspace" | "none";
  /**
   * True: from `createTunnel` on the datapath alone reads the socket and hands control datagrams over, until `deleteTunnel`
   * resolves. Who reads it in between, through another descriptor, may find several datagrams in one piece (UDP_GRO) and
   * has to read with `waitingControlMessages`.
   */
  readonly readsSocket: boolean;
  /** Starts the thread that the first tunnel would otherwise wait for. */
  prepare(): void;
  createTunnel(tunnel: TunnelRequest): Promise<void>;
  /**
   * Goes on with a tunnel of an earlier process, over the same socket, and with its sessions; what is not there (any more) is
   * made, but a session that had been made is lost then. Resolves to why sessions are not there, by local Session ID. Absent:
   * nothing outlives a process, and all of it is made again.
   */
  adoptTunnel?(tunnel: TunnelRequest, sessions: readonly AdoptedSession[]): Promise<ReadonlyMap<number, string>>;
  /** The tunnel with all its sessions. Resolves when a new tunnel may be made, not when the last device is gone. */
  deleteTunnel(localControlConnectionId: number): Promise<void>;
  /** Makes the device with name, MTU, addresses and bridge, and leaves it down. */
  createSession(session: SessionRequest): Promise<void>;
  /** Sets the device up: frames flow from now on. */
  raiseSession(localSessionId: number): Promise<void>;
  /**
   * Sets the device down: no frames either way, until it is raised again, with its addresses (of which the kernel drops
   * those of IPv6). RFC 3931 5.4.5: the peer's circuit is not active.
   */
  lowerSession(localSessionId: number): Promise<void>;
  /**
   * Gives the device other settings, up or down as it is: what it has and keeps is not touched. An MTU "auto" stays as it was
   * found out. What was refused half-way may have been done half-way.
   */
  changeSession(localSessionId: number, settings: DeviceSettings): Promise<void>;
  deleteSession(localSessionId: number): Promise<void>;
  /** Counters of every session, or of those of one tunnel. */
  counters(localControlConnectionId?: number): Promise<readonly SessionCounters[]>;
  /** Whether each of its threads has taken a turn since the last time this was asked; one that is busy has until the next. */
  responds(): boolean;
  /** Removes everything that is left and ends the worker. */
  close(): Promise<void>;
}
