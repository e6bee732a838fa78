import { type Finding, finding, ok } from "./finding.ts";

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
}

/** Whether a daemon runs, and answers. */
export function checkDaemon({ socket, answer, socketExists }: DaemonFacts): Finding {
  const check = "daemon";
  if (!("error" in answer)) {
    const { version, datapath, tunnels, established } = answer;
    const up = `${established} of ${tunnels} tunnels established`;
    return ok(check, `l2tpv3-lcc ${version} answers at ${socket}: datapath ${datapath}, ${up}`);
  }
  if (!socketExists) {
    return finding(check, "note", `no daemon runs at ${socket}`, "start it with l2tpv3-lcc --conf FILE");
  }
  const advice = "start the daemon if it does not run; it replaces a socket that was left over";
  return finding(check, "warning", answer.error, advice);
}
