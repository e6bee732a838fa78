import { ConfigError, formatProblem } from "../config/config-error.ts";
import { loadSite } from "../config/load.ts";
import type { ShowReport, TunnelReport } from "../daemon/show-report.ts";
import { collect } from "../doctor/collect.ts";
import type { DaemonAnswer } from "../doctor/daemon.ts";
import { diagnose } from "../doctor/diagnose.ts";
import type { Finding } from "../doctor/finding.ts";
import type { NotUp } from "../doctor/not-up.ts";
import { DEFAULT_PLAN, type Plan } from "../doctor/plan.ts";
import { ask } from "./admin-client.ts";
import type { DoctorCommand } from "./arguments.ts";
import { EXIT, printable, type Terminal } from "./terminal.ts";

/** `doctor`: what keeps the daemon, or what it is to do, from working. Done when nothing is an error. */
export async function doctor({ conf, json }: DoctorCommand, terminal: Terminal): Promise<number> {
  const { plan, problems, warnings } = conf === undefined ? WITHOUT_FILE : planOf(conf);
  const configuration = conf === undefined ? undefined : { path: conf, problems };
  const findings = diagnose(await collect({ plan, configuration, warnings, askDaemon }), plan);
  terminal.out(json ? `${JSON.stringify(findings, null, 2)}\n` : findings.map(render).join(""));
  return findings.some(({ status }) => status === "error") ? EXIT.failed : EXIT.done;
}

interface Planned {
  readonly plan: Plan;
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

const WITHOUT_FILE: Planned = { plan: DEFAULT_PLAN, problems: [], warnings: [] };

function planOf(path: string): Planned {
  try {
    const site = loadSite(path);
    return { plan: site, problems: [], warnings: site.warnings };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { ...WITHOUT_FILE, problems: error.problems.map((problem) => formatProblem(path, problem)) };
  }
}

/** `warning  bridge br0: there is no such device → make it: …` */
function render({ check, status, found, advice }: Finding): string {
  const line = `${status.padEnd(7)}  ${check}: ${found}`;
  return `${printable(status === "ok" ? line : `${line} → ${advice}`)}\n`;
}

async function askDaemon(socket: string): Promise<DaemonAnswer | { readonly error: string }> {
  const reply = await ask(socket, { command: "show" });
  // Daemon and command are of one package.
  return reply.ok ? answerFrom(reply.result as ShowReport) : { error: reply.error };
}

/** What of the daemon's report the checks ask about. */
export function answerFrom({ version, datapath, hostname, tunnels }: ShowReport): DaemonAnswer {
  const sessions = tunnels.flatMap(({ netns, sessions: own }) => own.map((session) => ({ ...session, netns })));
  return {
    version,
    datapath,
    tunnels: tunnels.length,
    established: tunnels.filter(isUp).length,
    interfaces: sessions
      .filter((each) => each.local_session_id !== 0)
      .map((each) => ({ name: each.interface, netns: each.netns })),
    known: tunnels.map(({ name, sessions: own }) => ({ name, sessions: own.map((session) => session.name) })),
    notUp: tunnels.flatMap(whatIsNotUp),
    namesakes: tunnels.filter((each) => each.peer_hostname === hostname).map(({ name }) => name),
  };
}

/** Of a tunnel that is not up no session can be, for the same reason. */
function whatIsNotUp(tunnel: TunnelReport): NotUp[] {
  const { name, state } = tunnel;
  if (!isUp(tunnel)) return [{ tunnel: name, session: undefined, state, reason: tunnel.last_error }];
  return tunnel.sessions
    .filter((session) => !isUp(session))
    .map((session) => ({ tunnel: name, session: session.name, state: session.state, reason: session.last_error }));
}

function isUp({ state }: { readonly state: string }): boolean {
  return state === "established";
}
