import { type Finding, finding, ok } from "./finding.ts";
import { checkNotUp, type KnownTunnel, type NotUp } from "./not-up.ts";
import type { Plan } from "./plan.ts";

export interface DaemonFacts {
  readonly socket: string;
  /** What it answered, or why it did not. */
  readonly answer: DaemonAnswer | { readonly error: string };
  /** The socket file is there. */
  readonly socketExists: boolean;
}

export interface DaemonAnswer {
  readonly version: string;
  readonly datapath: string;
  readonly tunnels: number;
  readonly established: number;
  /** Of the sessions that it has up, each with its network namespace; null: the daemon's own. */
  readonly interfaces: readonly { readonly name: string; readonly netns: string | null }[];
  readonly known: readonly KnownTunnel[];
  readonly notUp: readonly NotUp[];
  /** Tunnels whose peer calls itself by this end's own Host Name. */
  readonly namesakes: readonly string[];
}

/** Whether a daemon runs and answers, and what it says of what is not up. */
export function checkDaemon({ socket, answer, socketExists }: DaemonFacts, plan: Plan): Finding[] {
  const check = "daemon";
  if (!("error" in answer)) {
    const { version, datapath, tunnels, established } = answer;
    const up = `${established} of ${tunnels} tunnels established`;
    const running = ok(check, `l2tpv3-lcc ${version} answers at ${socket}: datapath ${datapath}, ${up}`);
    return [running, ...checkNotUp(answer.notUp, answer.known, plan), ...answer.namesakes.map(namesake)];
  }
  if (!socketExists) {
    return [finding(check, "note", `no daemon runs at ${socket}`, "start it with l2tpv3-lcc --conf FILE")];
  }
  const advice = "start the daemon if it does not run; it replaces a socket that was left over";
  return [finding(check, "warning", answer.error, advice)];
}

function namesake(tunnel: string): Finding {
  const found = "the peer has the same Host Name as this end: is this file a copy of the other site's?";
  return finding(`host name of tunnel ${tunnel}`, "warning", found, "give each end its own [lcce] hostname");
}
