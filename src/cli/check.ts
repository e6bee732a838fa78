import { loadOrExplain } from "./load-or-explain.ts";
import { EXIT, type Terminal } from "./terminal.ts";

/** `check --conf FILE`: problems and warnings one to a line, each with its place in the file. */
export function check({ conf }: { readonly conf: string }, terminal: Terminal): number {
  const site = loadOrExplain(conf, terminal);
  if (site === undefined) return EXIT.wrongUsage;
  for (const warning of site.warnings) terminal.err(`warning: ${warning}\n`);
  const sessions = site.tunnels.reduce((sum, tunnel) => sum + tunnel.sessions.length, 0);
  terminal.out(`${conf}: good, ${count(site.tunnels.length, "tunnel")} with ${count(sessions, "session")}\n`);
  return EXIT.done;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
