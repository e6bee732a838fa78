import type { TunnelConfiguration } from "../control/configuration.ts";

export type DatapathChoice = "auto" | "kernel" | "userspace" | "none";
export type SiteLogLevel = "error" | "warn" | "info" | "debug" | "trace";

/** Where a responder listens: an IPv4 or IPv6 address and a UDP port, or port 0 for L2TP over IP, which has none. */
export interface ListenAddress {
  readonly address: string;
  readonly port: number;
}

/** What executables may be run for. */
export const HOOK_EVENTS = ["tunnel-up", "tunnel-down", "session-up", "session-down", "circuit-status"] as const;

export type HookEvent = (typeof HOOK_EVENTS)[number];

export interface HookConfiguration {
  /** An executable's absolute path and its arguments; of an event that is missing nobody is told. */
  readonly commands: Readonly<Partial<Record<HookEvent, readonly string[]>>>;
  readonly timeoutMs: number;
}

/** The whole of a configuration file: checked, templates applied, defaults filled in. */
export interface Site {
  readonly lcce: {
    /** Host Name AVP. */
    readonly hostname: string;
    /** Router ID AVP; `undefined`: to be derived from the first local address. */
    readonly routerId: number | undefined;
    /** By default what is listened for in any of the tunnels' network namespaces. Empty: this end only initiates. */
    readonly listen: readonly ListenAddress[];
    /** Bind the addresses of `listen` even while the machine has them not. */
    readonly freebind: boolean;
    readonly datapath: DatapathChoice;
    /** Absolute path. */
    readonly adminSocket: string;
    readonly logLevel: SiteLogLevel;
    /** Address and port of the metrics, as configured; `undefined`: there are none. */
    readonly metrics: string | undefined;
  };
  readonly hooks: HookConfiguration;
  readonly tunnels: readonly TunnelConfiguration[];
  /** The keys that the file gives, those of templates where they are used: "lcce.listen", "tunnel.paris.mode". */
  readonly given: ReadonlySet<string>;
  /** What works but is hardly meant; a line each, with file, line and key. */
  readonly warnings: readonly string[];
}

/** Where the daemon is found when nobody says otherwise. */
export const DEFAULT_ADMIN_SOCKET = "/run/l2tpv3-lcc/admin.sock";
