import type { DaemonEvent } from "../daemon/event-feed.ts";
import { socketPath } from "./admin-client.ts";
import type { EventsCommand } from "./arguments.ts";
import { eventLine } from "./event-line.ts";
import { concludeStream, follow } from "./follow.ts";
import type { Interruption } from "./interruption.ts";
import { EXIT, type Terminal } from "./terminal.ts";

/** `events`: a line for each, until the user or the daemon ends it. Done where the user did. */
export async function events(
  { json, daemon }: EventsCommand,
  terminal: Terminal,
  interruption: Interruption,
): Promise<number> {
  const path = await socketPath(daemon, terminal);
  if (path === undefined) return EXIT.wrongUsage;
  const tell = (item: unknown) => {
    // Daemon and command are of one package.
    terminal.out(`${json ? JSON.stringify(item) : eventLine(item as DaemonEvent)}\n`);
  };
  return concludeStream(await follow(path, { command: "events" }, tell, interruption), terminal);
}
