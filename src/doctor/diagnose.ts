import { checkDaemon, type DaemonFacts } from "./daemon.ts";
import { checkFiles, type FileFacts } from "./files.ts";
import type { Finding } from "./finding.ts";
import { checkInterfaces, type InterfaceFacts } from "./interfaces.ts";
import { checkCapabilities, checkKernel, type KernelFacts } from "./kernel.ts";
import { checkNetwork, type NetworkFacts } from "./network.ts";
import { checkPeers, type PeerFacts } from "./peers.ts";
import type { Plan } from "./plan.ts";
import { checkPorts, type PortFacts } from "./ports.ts";

/** All that was looked at on the machine, once. */
export interface Facts {
  readonly files: FileFacts;
  readonly daemon: DaemonFacts;
  readonly kernel: KernelFacts;
  readonly ports: PortFacts;
  readonly interfaces: InterfaceFacts;
  readonly network: NetworkFacts;
  /** By the name of the tunnel. */
  readonly peers: ReadonlyMap<string, PeerFacts>;
}

/** Every check, in the order in which things have to work. A pure function: tests make up the facts. */
export function diagnose(facts: Facts, plan: Plan): Finding[] {
  return [
    ...checkFiles(facts.files),
    checkDaemon(facts.daemon),
    ...checkKernel(facts.kernel, plan),
    ...checkCapabilities(facts.kernel, plan),
    ...checkPorts(facts.ports, plan),
    ...checkInterfaces(facts.interfaces, plan),
    ...checkNetwork(facts.network, plan),
    ...checkPeers(facts.peers, plan),
  ];
}
