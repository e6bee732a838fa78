import type { ShowRequest } from "../daemon/admin-protocol.ts";
import type { ShowReport } from "../daemon/show-report.ts";
import { askDaemon } from "./admin-client.ts";
import type { ShowCommand } from "./arguments.ts";
import { renderReport } from "./show-table.ts";
import { EXIT, type Terminal } from "./terminal.ts";

/** `show`: a table for people, or with --json the daemon's report as it came. */
export function show({ what, name, json, daemon }: ShowCommand, terminal: Terminal, now: Date): Promise<number> {
  const request: ShowRequest = {
    command: "show",
    ...(what === undefined ? {} : { what }),
    ...(name === undefined ? {} : { name }),
  };
  return askDaemon(daemon, request, terminal, (result) => {
    // Daemon and command are of one package; a report of another shape would be a bug.
    const report = result as ShowReport;
    terminal.out(json ? `${JSON.stringify(report, null, 2)}\n` : renderReport(report, what, now));
    return EXIT.done;
  });
}
