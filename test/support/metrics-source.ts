import type { MetricsSource } from "../../src/daemon/metric-rows.ts";
import { A, B, lcce, session, tunnel } from "./sites.ts";
import { VirtualLink } from "./virtual-link.ts";

/** What a daemon with the sessions x and y of tunnel b would tell 10 s after its start. y is closed. */
export function metricsSource(changes: Partial<MetricsSource> = {}): MetricsSource {
  const link = new VirtualLink();
  const sessions = [session("x"), session("y")];
  const a = link.add(A, lcce("site-a", tunnel("b", { role: "initiator", peer: B, sessions })));
  link.add(B, lcce("site-b", tunnel("a", { role: "responder", peer: A, sessions })));
  link.start();
  link.run(5_000);
  a.receive({ type: "close", tunnel: "b", session: "y" });
  link.run(5_000);
  const view = a.core.view();
  const [up] = view.tunnels[0]?.sessions ?? [];
  const counters = {
    localControlConnectionId: view.tunnels[0]?.localControlConnectionId ?? 0,
    localSessionId: up?.localSessionId ?? 0,
    receivedPackets: 11,
    receivedOctets: 12,
    receiveErrors: 13,
    sequenceDiscards: 14,
    cookieDiscards: 15,
    sentPackets: 15,
    sentOctets: 16,
    sendErrors: 17,
  };
  return {
    version: "1.2.3",
    datapath: "userspace",
    view,
    statistics: a.core.statistics(),
    counters: [counters],
    process: {
      residentBytes: 1e8,
      cpuSeconds: 2.5,
      startedAtSeconds: 1_700_000_000,
      openFiles: 33,
      lagP99Seconds: 0.001,
      lagMaxSeconds: 0.02,
    },
    hooks: new Map([["tunnel-up", { run: 3, failed: 2, dropped: 1 }]]),
    toSeconds: (instant) => 1_700_000_000 + instant / 1000,
    ...changes,
  };
}
