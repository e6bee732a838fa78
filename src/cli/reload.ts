import type { ReloadReport } from "../daemon/reload.ts";
import { askDaemon } from "./admin-client.ts";
import type { ReloadCommand } from "./arguments.ts";
import { loadOrExplain } from "./load-or-explain.ts";
import { EXIT, printable, type Terminal } from "./terminal.ts";

/** `reload`: what the daemon made of its file, or would make, a line each. Done only when all of the file is in force. */
export async function reload({ daemon, dryRun, json }: ReloadCommand, terminal: Terminal): Promise<number> {
  // The daemon would say the same of it; but without the file there is no asking where the daemon is.
  if (daemon.socket === undefined && daemon.conf !== undefined && loadOrExplain(daemon.conf, terminal) === undefined) {
    return EXIT.failed;
  }
  return askDaemon(daemon, { command: "reload", ...(dryRun ? { dryRun } : {}) }, terminal, (result) => {
    const report = result as ReloadReport;
    if (json) terminal.out(`${JSON.stringify(forPrograms(report), null, 2)}\n`);
    else print(report, terminal);
    const isInForce = dryRun || report.changes.every(({ action }) => action !== "restart");
    return report.problems.length === 0 && isInForce ? EXIT.done : EXIT.failed;
  });
}

/** Keys are written as in `show --json`. */
function forPrograms({ dryRun, problems, warnings, changes }: ReloadReport) {
  return { dry_run: dryRun, problems, warnings, changes };
}

function print({ problems, warnings, changes, dryRun }: ReloadReport, terminal: Terminal): void {
  for (const line of problems) terminal.err(`${printable(line)}\n`);
  for (const line of warnings) terminal.err(`warning: ${printable(line)}\n`);
  for (const { text } of changes) terminal.out(`${printable(text)}\n`);
  if (problems.length + changes.length > 0) return;
  terminal.out(dryRun ? "nothing would change\n" : "nothing has changed\n");
}
