import fc from "fast-check";
import type { AuthenticationConfiguration, Role, SessionConfiguration } from "../../../src/control/configuration.ts";
import type { CircuitCondition, CircuitErrorCounts } from "../../../src/control/core.ts";
import { ascii } from "../digest-by-hand.ts";

/** One of the two sites. */
export type Site = 0 | 1;
export type OfBoth<T> = readonly [T, T];

/** What can happen at one site of a walk, besides what the link does. A new input of the core is a new row here. */
export type Action =
  | { readonly do: "start" }
  /** The process dies and comes back; its peer is told nothing. */
  | { readonly do: "crash" }
  /** Without `session` the tunnel. */
  | { readonly do: "open"; readonly session?: number }
  | { readonly do: "close"; readonly session?: number }
  /** The datapath loses what it had: a device is removed, a thread ends. */
  | { readonly do: "lose-session"; readonly session: number }
  | { readonly do: "lose-tunnel" }
  /** What happens to the attachment circuit of a session that has one. */
  | { readonly do: "circuit"; readonly session: number; readonly condition: CircuitCondition }
  /** So many more errors of it. */
  | { readonly do: "errors"; readonly session: number; readonly more: CircuitErrorCounts }
  /** A new secret, with the last one as the previous; not where the other site is behind already. */
  | { readonly do: "rotate" }
  /** Another configuration: of all devices, of a timer, of one session's calls, or of what only a new connection can have. */
  | { readonly do: "reload"; readonly what: ReloadKind; readonly session: number }
  /** Data packets arrive: a sign of life (RFC 3931 4.4). */
  | { readonly do: "traffic" }
  /** Nothing gets through, either way, for so long. */
  | { readonly do: "cut"; readonly forMs: number };

export type ReloadKind = "nothing" | "devices" | "timer" | "call" | "connection";

export interface Step {
  readonly afterMs: number;
  readonly site: Site;
  readonly action: Action;
}

export interface SessionPlan {
  readonly call: OfBoth<Role | undefined>;
  readonly cookieSize: OfBoth<0 | 4 | 8>;
  readonly l2Sublayer: OfBoth<"none" | "default">;
  readonly callType: OfBoth<SessionConfiguration["callType"]>;
  /** Of incoming calls: an OCRQ names none. */
  readonly group: OfBoth<"" | "green" | "blue">;
  /** Whether it has an attachment circuit that is followed. */
  readonly circuit: OfBoth<boolean>;
}

/** A walk: two sites, the link between them, and what happens there. Plain data, so that it can be printed and shrunk. */
export interface WalkPlan {
  readonly seed: number;
  readonly roles: OfBoth<Role>;
  /** Whom a site means: the peer's address or DNS name; who only answers may know it by Host Name or Router ID. */
  readonly peers: OfBoth<"address" | "name" | "hostname" | "router-id">;
  readonly localPorts: OfBoth<0 | 1701>;
  readonly security: keyof typeof SECURITY;
  readonly windows: OfBoth<number>;
  /** 0: no keepalive, which needs a link that loses little and peers that do not crash. */
  readonly helloMs: OfBoth<number>;
  readonly retransmit: keyof typeof RETRANSMIT;
  readonly reconnectMaxMs: number;
  readonly sessions: readonly SessionPlan[];
  readonly link: { readonly lossPercent: number; readonly duplicatePercent: number; readonly jitterMs: number };
  /** How long a datapath takes, and how often it refuses while the walk lasts. */
  readonly datapath: OfBoth<{
    readonly delayMs: number;
    readonly refuseSessionPercent: number;
    readonly refuseTunnelPercent: number;
  }>;
  /** Both sites start at once, and have so long before the first step. `undefined`: they start when a step says so. */
  readonly warmUpMs: number | undefined;
  readonly steps: readonly Step[];
  /** While everything is quiet: who has its secret changed, and how long after the change before. */
  readonly rotations: readonly { readonly afterMs: number; readonly site: Site }[];
  /** The end: who stops first, how much later the other does, and whether the link is bad again. */
  readonly ending: { readonly first: Site; readonly gapMs: number; readonly badLink: boolean };
}

const ONE = ascii("correct horse");
const OTHER = ascii("battery staple");

function policy(
  secrets: readonly Uint8Array[],
  digest: "md5" | "sha1" | "none",
  hidden = false,
  chapPassword: Uint8Array | undefined = undefined,
): AuthenticationConfiguration {
  return { secrets, digest, hidden, chapPassword };
}

const OFF = policy([], "none");

/** What each site is configured with; by the names of these rows it is clear which of them understand each other. */
export const SECURITY = {
  off: [OFF, OFF],
  integrity: [policy([], "md5"), policy([], "sha1")],
  "integrity, one way": [policy([], "md5"), OFF],
  "empty secret": [policy([new Uint8Array(0)], "md5"), policy([new Uint8Array(0)], "md5")],
  secret: [policy([ONE], "md5"), policy([ONE], "md5")],
  "secret, hidden": [policy([ONE], "sha1", true), policy([ONE], "md5", true)],
  "secret, hidden one way": [policy([ONE], "md5", true), policy([ONE], "sha1")],
  "rollover, one side changed": [policy([ONE, OTHER], "md5", true), policy([OTHER], "md5", true)],
  "rollover, both sides": [policy([ONE, OTHER], "md5", true), policy([OTHER, ONE], "sha1", true)],
  password: [policy([], "none", false, ONE), policy([], "none", false, ONE)],
  "secret, hidden, and password": [policy([ONE], "md5", true, OTHER), policy([ONE], "sha1", true, OTHER)],
  "other passwords": [policy([], "none", false, ONE), policy([], "none", false, OTHER)],
  "password on one side": [policy([], "none", false, ONE), OFF],
  "other secrets": [policy([ONE], "md5"), policy([OTHER], "md5")],
  "secret on one side": [policy([ONE], "md5"), OFF],
} as const satisfies Record<string, OfBoth<AuthenticationConfiguration>>;

export const STRANGERS: readonly (keyof typeof SECURITY)[] = [
  "other secrets",
  "secret on one side",
  "other passwords",
  "password on one side",
];

/** Where both sites can have new secrets, one after the other. */
const ROTATING: readonly (keyof typeof SECURITY)[] = [
  "secret",
  "secret, hidden",
  "secret, hidden one way",
  "secret, hidden, and password",
];

/** What a site is configured with after so many rotations. */
export function authenticationOf({ security }: WalkPlan, site: Site, rotations: number): AuthenticationConfiguration {
  const first = SECURITY[security][site];
  return rotations === 0 ? first : { ...first, secrets: [secretOf(rotations), secretOf(rotations - 1)] };
}

function secretOf(rotations: number): Uint8Array {
  return rotations === 0 ? ONE : ascii(`horse ${rotations}`);
}

export function canRotate({ security }: WalkPlan): boolean {
  return ROTATING.includes(security);
}

export const RETRANSMIT = {
  default: { initialMs: 1_000, maxMs: 8_000, retries: 10, sccrqRetries: 10 },
  quick: { initialMs: 250, maxMs: 8_000, retries: 5, sccrqRetries: 3 },
  impatient: { initialMs: 500, maxMs: 8_000, retries: 6, sccrqRetries: 1 },
} as const;

function both<T>(one: fc.Arbitrary<T>): fc.Arbitrary<OfBoth<T>> {
  return fc.tuple(one, one);
}

function usually<T>(usual: T, others: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.oneof({ weight: 2, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: others });
}

function mostlySame<T>(one: fc.Arbitrary<T>): fc.Arbitrary<OfBoth<T>> {
  const same = one.map((value): OfBoth<T> => [value, value]);
  return fc.oneof({ weight: 8, arbitrary: same }, { weight: 1, arbitrary: both(one) });
}

const role = fc.constantFrom<Role>("both", "initiator", "responder");
const roles = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom<OfBoth<Role>>(["initiator", "responder"], ["both", "both"]) },
  { weight: 3, arbitrary: both(role) },
);

const site = fc.constantFrom<Site>(0, 1);
const sessionIndex = fc.nat({ max: 3 });

const condition = fc.constantFrom<CircuitCondition>("up", "no-carrier", "down");
const few = fc.nat({ max: 20 });
const more = fc.record({ hardwareOverruns: few, bufferOverruns: few, timeouts: few, alignments: few });

const reloadKind = fc.constantFrom<ReloadKind>("nothing", "devices", "timer", "call", "connection");

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 2, arbitrary: fc.constant<Action>({ do: "start" }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("open"), session: sessionIndex }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("close"), session: sessionIndex }) },
  { weight: 3, arbitrary: fc.constant<Action>({ do: "open" }) },
  { weight: 1, arbitrary: fc.constant<Action>({ do: "close" }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("lose-session"), session: sessionIndex }) },
  { weight: 1, arbitrary: fc.constant<Action>({ do: "lose-tunnel" }) },
  { weight: 1, arbitrary: fc.constant<Action>({ do: "crash" }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("circuit"), session: sessionIndex, condition }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("errors"), session: sessionIndex, more }) },
  { weight: 2, arbitrary: fc.constant<Action>({ do: "rotate" }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("reload"), what: reloadKind, session: sessionIndex }) },
  { weight: 1, arbitrary: fc.constant<Action>({ do: "traffic" }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("cut"), forMs: fc.integer({ min: 1, max: 120_000 }) }) },
);

/** Mostly while messages are under way, sometimes when everything is quiet. */
const afterMs = fc.oneof(
  { weight: 2, arbitrary: fc.nat({ max: 40 }) },
  { weight: 2, arbitrary: fc.nat({ max: 3_000 }) },
  { weight: 1, arbitrary: fc.nat({ max: 90_000 }) },
);

const sessionPlan: fc.Arbitrary<SessionPlan> = fc.record({
  call: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom<SessionPlan["call"]>([undefined, undefined], ["both", "both"]) },
    { weight: 2, arbitrary: both(fc.constantFrom<Role | undefined>(undefined, "initiator", "responder", "both")) },
  ),
  cookieSize: both(fc.constantFrom<0 | 4 | 8>(8, 4, 0)),
  l2Sublayer: both(usually<"none" | "default">("none", fc.constant("default"))),
  callType: mostlySame(fc.constantFrom<SessionPlan["callType"][0]>("incoming", "outgoing")),
  group: mostlySame(usually<SessionPlan["group"][0]>("", fc.constantFrom("green", "blue"))),
  circuit: both(fc.boolean()),
});

const percent = (max: number) => usually(0, fc.integer({ min: 1, max }));

export const walkPlan: fc.Arbitrary<WalkPlan> = fc.record({
  seed: fc.nat({ max: 0x7fff_ffff }),
  roles,
  peers: both(usually<WalkPlan["peers"][0]>("address", fc.constantFrom("name", "hostname", "router-id"))),
  localPorts: both(usually<0 | 1701>(1701, fc.constant(0))),
  security: fc.oneof(
    { weight: 3, arbitrary: fc.constant<keyof typeof SECURITY>("off") },
    { weight: 1, arbitrary: fc.constantFrom(...ROTATING) },
    { weight: 1, arbitrary: fc.constantFrom(...(Object.keys(SECURITY) as (keyof typeof SECURITY)[])) },
  ),
  windows: both(fc.integer({ min: 1, max: 16 })),
  helloMs: both(fc.constantFrom(5_000, 20_000, 60_000, 0)),
  retransmit: fc.constantFrom(...(Object.keys(RETRANSMIT) as (keyof typeof RETRANSMIT)[])),
  reconnectMaxMs: fc.constantFrom(4_000, 60_000),
  sessions: fc.array(sessionPlan, { minLength: 1, maxLength: 4 }),
  link: fc.record({
    lossPercent: fc.oneof(fc.constantFrom(0, 2), fc.integer({ min: 0, max: 45 })),
    duplicatePercent: percent(25),
    jitterMs: fc.constantFrom(0, 15, 60, 400),
  }),
  datapath: both(
    fc.record({
      delayMs: fc.constantFrom(0, 1, 15, 300),
      refuseSessionPercent: percent(60),
      refuseTunnelPercent: percent(40),
    }),
  ),
  warmUpMs: fc.constantFrom(undefined, 0, 100, 10_000, 60_000),
  steps: fc.array(fc.record({ afterMs, site, action }), { maxLength: 24, size: "max" }),
  rotations: fc.array(fc.record({ afterMs: fc.constantFrom(0, 5, 50, 2_000), site }), { maxLength: 4 }),
  ending: fc.record({ first: site, gapMs: fc.constantFrom(0, 5, 30, 1_000, 40_000), badLink: fc.boolean() }),
});
