import type { ShowRequest } from "../daemon/admin-protocol.ts";
import type { ShowReport } from "../daemon/show-report.ts";
import { askDaemon } from "./admin-client.ts";
import type { ShowCommand } from "./arguments.ts";
import { renderReport } from "./show-table.ts";
import { sessionInWords, tunnelInWords } from "./show-words.ts";
import { complain, EXIT, printable, type Terminal } from "./terminal.ts";

/** `show`: tables or words for people, or with --json the daemon's report as it came. */
export function show({ what, name, json, daemon }: ShowCommand, terminal: Terminal, now: Date): Promise<number> {
  const subject = what === "tunnel" || what === "session" ? undefined : what;
  const request: ShowRequest = {
    command: "show",
    ...(subject === undefined ? {} : { what: subject }),
    ...(name === undefined ? {} : { name }),
  };
  return askDaemon(daemon, request, terminal, (result) => {
    // Daemon and command are of one package; a report of another shape would be a bug.
    const whole = result as ShowReport;
    const report =
      what === "tunnel" ? { ...whole, tunnels: whole.tunnels.filter((each) => each.name === name) } : whole;
    if (report.tunnels.length === 0 && what === "tunnel") {
      complain(terminal, printable(`there is no tunnel "${name}"`));
      return EXIT.failed;
    }
    terminal.out(json ? `${JSON.stringify(report, null, 2)}\n` : inWordsOrTable(report, what, now, terminal.width?.()));
    return EXIT.done;
  });
}

function inWordsOrTable(report: ShowReport, what: ShowCommand["what"], now: Date, width: number | undefined): string {
  if (what === "tunnel") return report.tunnels.map((tunnel) => tunnelInWords(tunnel, now, width)).join("\n");
  if (what !== "session") return renderReport(report, what, now, width);
  const sessions = report.tunnels.flatMap(({ name, sessions: own }) => own.map((session) => ({ name, session })));
  return sessions.map(({ name, session }) => sessionInWords(name, session, now, width)).join("\n");
}
