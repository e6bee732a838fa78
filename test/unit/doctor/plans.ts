import { parseSite } from "../../../src/config/load.ts";
import type { Finding } from "../../../src/doctor/finding.ts";
import type { Plan } from "../../../src/doctor/plan.ts";
import type { DeviceFact } from "../../../src/kernel/devices.ts";

/** A tunnel "paris" with one session "lan42". */
export function plan(extra: { lcce?: string; tunnel?: string; session?: string } = {}): Plan {
  const lines = [
    "[lcce]",
    extra.lcce,
    "[tunnel.paris]",
    'peer = "192.0.2.9"',
    extra.tunnel,
    "[tunnel.paris.session.lan42]",
    extra.session,
  ];
  return parseSite(lines.join("\n"), "/site.toml");
}

/** An Ethernet card with a cable in it, but for what is said. */
export function device(change: Partial<DeviceFact> = {}): DeviceFact {
  return { isBridge: false, hasCarrier: true, mtu: 1500, bridge: undefined, ...change };
}

/** `["error bridge br0"]`: what a check thinks of what. */
export function verdicts(findings: readonly Finding[]): string[] {
  return findings.map(({ check, status }) => `${status} ${check}`);
}
