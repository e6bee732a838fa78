import fc from "fast-check";
import { expect, test } from "vitest";
import type { SessionConfiguration, TunnelConfiguration } from "../../src/control/configuration.ts";
import { A, B, lcce, session, tunnel } from "../support/sites.ts";
import { VirtualLink, type VirtualNode } from "../support/virtual-link.ts";

const PEERS = [B, "192.0.2.3", "192.0.2.4"] as const;
const NAMES = ["s0", "s1", "s2"] as const;
const RECONNECT = { minMs: 500, maxMs: 2_000 };
const QUICK = { reconnect: RECONNECT, retransmit: { initialMs: 500, maxMs: 4_000, retries: 2, sccrqRetries: 2 } };
/** Longer than anything that is waited for: lingering connections, pauses, keepalive. */
const SETTLED_MS = 100_000;

interface SessionPlan {
  readonly name: (typeof NAMES)[number];
  readonly cookieSize: 0 | 8;
  readonly addresses: readonly string[];
  readonly bridge: "br0" | undefined;
  readonly circuit: "eth0" | "eth1" | undefined;
  readonly interface: 0 | 1;
}

interface TunnelPlan {
  readonly peer: 0 | 1 | 2;
  readonly mode: "dynamic" | "static" | "hello-only";
  readonly role: "initiator" | "both";
  readonly helloMs: 2_000 | 10_000;
  readonly tos: 0 | 184;
  readonly retries: 2 | 10;
  readonly secret: 0 | 1;
  readonly sessions: readonly SessionPlan[];
}

interface Reload {
  readonly afterMs: number;
  readonly tunnels: readonly TunnelPlan[];
  /** What happens to a circuit, before it. */
  readonly circuit: { readonly interfaceName: "eth0" | "eth1"; readonly condition: "up" | "down" } | undefined;
}

const PASSING = ["retransmit", "activity", "acknowledge"];

const ADDRESSES = ["10.0.0.1/30", "10.0.1.1/24", "2001:db8::1/64"];

const sessionPlan: fc.Arbitrary<SessionPlan> = fc.record({
  name: fc.constantFrom(...NAMES),
  cookieSize: fc.constantFrom(0, 8),
  addresses: fc.subarray(ADDRESSES),
  bridge: fc.constantFrom(undefined, "br0"),
  circuit: fc.constantFrom(undefined, "eth0", "eth1"),
  interface: fc.constantFrom(0, 1),
});

const tunnelPlan: fc.Arbitrary<TunnelPlan> = fc.record({
  peer: fc.constantFrom(0, 1, 2),
  mode: fc.oneof(
    { weight: 4, arbitrary: fc.constant("dynamic" as const) },
    { weight: 1, arbitrary: fc.constantFrom("static" as const, "hello-only" as const) },
  ),
  role: fc.constantFrom("initiator", "both"),
  helloMs: fc.constantFrom(2_000, 10_000),
  tos: fc.oneof({ weight: 4, arbitrary: fc.constant(0 as const) }, { weight: 1, arbitrary: fc.constant(184 as const) }),
  retries: fc.constantFrom(2, 10),
  secret: fc.constantFrom(0, 1),
  sessions: fc.uniqueArray(sessionPlan, { maxLength: 3, selector: ({ name }) => name }),
});

const tunnels = fc.uniqueArray(tunnelPlan, { maxLength: 3, selector: ({ peer }) => peer });

const reload: fc.Arbitrary<Reload> = fc.record({
  afterMs: fc.oneof(fc.nat({ max: 60 }), fc.nat({ max: 4_000 })),
  tunnels,
  circuit: fc.option(
    fc.record({ interfaceName: fc.constantFrom("eth0", "eth1"), condition: fc.constantFrom("up", "down") }),
    { nil: undefined },
  ),
});

const secrets = ["old", "new"].map((text) => new TextEncoder().encode(text));

function configurationOf(plan: TunnelPlan): TunnelConfiguration {
  const { peer, mode, helloMs, secret } = plan;
  const own = secrets.slice(secret, secret + 1);
  return tunnel(`t${peer}`, {
    ...(mode === "dynamic"
      ? { role: plan.role, authentication: { secrets: own, digest: "md5", hidden: false, chapPassword: undefined } }
      : {
          role: "initiator",
          static: { localTunnelId: 100 + peer, remoteTunnelId: 100 + peer, watched: mode === "hello-only" },
        }),
    peer: PEERS[peer],
    helloIntervalMs: helloMs,
    tos: plan.tos,
    reconnect: RECONNECT,
    retransmit: { initialMs: 500, maxMs: 4_000, retries: plan.retries, sccrqRetries: plan.retries },
    sessions: plan.sessions.map((each) => sessionOf(each, plan)),
  });
}

function sessionOf(plan: SessionPlan, { peer, mode }: TunnelPlan): SessionConfiguration {
  const id = 1_000 + 10 * peer + NAMES.indexOf(plan.name);
  const numbers = {
    localSessionId: id,
    remoteSessionId: id,
    localCookie: new Uint8Array(0),
    remoteCookie: new Uint8Array(0),
  };
  return session(plan.name, {
    ...(mode === "dynamic" ? {} : { static: numbers }),
    cookieSize: plan.cookieSize,
    addresses: plan.addresses,
    bridge: plan.bridge,
    circuit: plan.circuit,
    interfaceName: `l2-${peer}-${plan.name}-${plan.interface}`,
  });
}

/** A peer that takes whatever of these comes, with either secret, and answers HELLO without a handshake as well. */
function peerOf(index: number): readonly TunnelConfiguration[] {
  const authentication = { secrets, digest: "md5", hidden: false, chapPassword: undefined } as const;
  const sessions = NAMES.map((name) => session(name));
  // It soon finds out that nobody answers: as long as it is up there is no other between these ports.
  const quick = { ...QUICK, helloIntervalMs: 2_000 };
  const typedIn = { localTunnelId: 100 + index, remoteTunnelId: 100 + index, watched: true };
  return [
    tunnel("a", { peer: A, role: "responder", authentication, reconnect: RECONNECT, helloIntervalMs: 0, sessions }),
    tunnel("typed", { ...quick, static: typedIn, role: "initiator", peer: A, sessions: [] }),
  ];
}

class World {
  readonly link = new VirtualLink();
  readonly a: VirtualNode;

  constructor(first: readonly TunnelPlan[]) {
    this.a = this.link.add(A, lcce("site-a", ...first.map(configurationOf)));
    for (const [index, address] of PEERS.entries()) this.link.add(address, lcce(`site-${index}`, ...peerOf(index)));
    this.link.start();
  }

  reload({ afterMs, tunnels: plans, circuit }: Reload): void {
    this.link.run(afterMs);
    if (circuit !== undefined) this.a.receive({ type: "circuit", ...circuit });
    this.a.receive({ type: "configuration-changed", tunnels: plans.map(configurationOf) });
  }
}

/** How it is, without what chance and time have made of it. */
function stateOf({ core, datapathSessions, raised, sockets, tunnels: inDatapath, log }: VirtualNode): unknown {
  const { tunnels: views } = core.view();
  const saved = core.save();
  const devices = [...datapathSessions].map(([id, { interfaceName, addresses, bridge, mtu, isolated, routes }]) => ({
    interfaceName,
    addresses,
    bridge,
    mtu,
    isolated,
    routes,
    raised: raised.has(id),
  }));
  return {
    tunnels: views.map(({ name, state, peer, encapsulation, peerHostname, sessions }) => ({
      name,
      state,
      peer,
      encapsulation,
      peerHostname,
      sessions: sessions.map(({ since, lastError, localSessionId, remoteSessionId, ...rest }) => ({
        ...rest,
        up: localSessionId !== 0,
        told: remoteSessionId !== 0,
      })),
    })),
    devices: devices.toSorted((one, other) => (one.interfaceName < other.interfaceName ? -1 : 1)),
    connections: saved.connections.length,
    // A HELLO may be under way.
    timers: saved.timers
      .map(({ key }) => key.split(" ")[0])
      .filter((kind) => !PASSING.includes(kind ?? ""))
      .toSorted(),
    sockets: sockets.size,
    inDatapath: inDatapath.size,
    errors: log.filter(({ event }) => event === "internal-error").map(({ message }) => message),
  };
}

test("after any reloads the state is that of a fresh start with the last configuration", () => {
  fc.assert(
    fc.property(tunnels, fc.array(reload, { minLength: 1, maxLength: 6 }), (first, reloads) => {
      const changed = new World(first);
      for (const each of reloads) changed.reload(each);
      changed.link.run(SETTLED_MS);
      const fresh = new World(reloads.at(-1)?.tunnels ?? []);
      const last = new Map(
        reloads.flatMap(({ circuit }) => (circuit === undefined ? [] : [[circuit.interfaceName, circuit]])),
      );
      for (const circuit of last.values()) fresh.a.receive({ type: "circuit", ...circuit });
      fresh.link.run(SETTLED_MS);
      for (const interfaceName of ["eth0", "eth1"] as const) {
        const condition = last.get(interfaceName)?.condition ?? "up";
        changed.a.receive({ type: "circuit", interfaceName, condition });
      }
      for (const { link } of [changed, fresh]) link.run(3_000);
      expect(stateOf(changed.a)).toEqual(stateOf(fresh.a));
    }),
    { numRuns: 120, seed: 3931 },
  );
}, 120_000);
