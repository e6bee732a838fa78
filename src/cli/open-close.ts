import type { OpenCloseRequest } from "../daemon/admin-protocol.ts";
import { askDaemon } from "./admin-client.ts";
import type { OpenCloseCommand } from "./arguments.ts";
import { EXIT, printable, type Terminal } from "./terminal.ts";

/** `open TUNNEL[/SESSION]` and `close TUNNEL[/SESSION]`: one line that says what comes of it. */
export function openOrClose(
  { command, tunnel, session, daemon }: OpenCloseCommand,
  terminal: Terminal,
): Promise<number> {
  const request: OpenCloseRequest = { command, tunnel, ...(session === undefined ? {} : { session }) };
  return askDaemon(daemon, request, terminal, () => {
    const [kind, name] = session === undefined ? ["tunnel", tunnel] : ["session", `${tunnel}/${session}`];
    const done = {
      close: `${name} is closed; it stays so until l2tpv3-lcc open ${name}`,
      open: `${name} is being opened; l2tpv3-lcc show ${kind} ${name} tells how far it is`,
    } as const;
    terminal.out(`${printable(done[command])}\n`);
    return EXIT.done;
  });
}
