import type { OpenCloseRequest } from "../daemon/admin-protocol.ts";
import { askDaemon } from "./admin-client.ts";
import type { OpenCloseCommand } from "./arguments.ts";
import { EXIT, type Terminal } from "./terminal.ts";

/** `open TUNNEL[/SESSION]` and `close TUNNEL[/SESSION]`: silent when done. */
export function openOrClose(
  { command, tunnel, session, daemon }: OpenCloseCommand,
  terminal: Terminal,
): Promise<number> {
  const request: OpenCloseRequest = { command, tunnel, ...(session === undefined ? {} : { session }) };
  return askDaemon(daemon, request, terminal, () => EXIT.done);
}
