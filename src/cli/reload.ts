import type { ReloadReport } from "../daemon/reload.ts";
import { askDaemon } from "./admin-client.ts";
import type { ReloadCommand } from "./arguments.ts";
import { loadOrExplain } from "./load-or-explain.ts";
import { EXIT, printable, type Terminal } from "./terminal.ts";

/** `reload`: what the daemon made of its file, a line each. Done only when all of the file is in force. */
export async function reload({ daemon }: ReloadCommand, terminal: Terminal): Promise<number> {
  // The daemon would say the same of it; but without the file there is no asking where the daemon is.
  if (daemon.socket === undefined && daemon.conf !== undefined && loadOrExplain(daemon.conf, terminal) === undefined) {
    return EXIT.failed;
  }
  return askDaemon(daemon, { command: "reload" }, terminal, (result) => {
    const { problems, warnings, applied, restart } = result as ReloadReport;
    for (const line of problems) terminal.err(`${printable(line)}\n`);
    for (const line of warnings) terminal.err(`warning: ${printable(line)}\n`);
    for (const line of applied) terminal.out(`applied: ${printable(line)}\n`);
    for (const line of restart) terminal.err(`needs a restart: ${printable(line)}\n`);
    if (problems.length + restart.length > 0) return EXIT.failed;
    if (applied.length === 0) terminal.out("nothing has changed\n");
    return EXIT.done;
  });
}
