import { ConfigError } from "../config/config-error.ts";
import { loadSite } from "../config/load.ts";
import { DEFAULT_ADMIN_SOCKET } from "../config/site.ts";
import type { ShowReport } from "../daemon/show-report.ts";
import { ask } from "./admin-client.ts";
import type { NamesCommand } from "./arguments.ts";
import { EXIT, type Terminal } from "./terminal.ts";

interface Named {
  readonly name: string;
  readonly sessions: readonly { readonly name: string }[];
}

/**
 * `names`: for the shell's completion, a name in a line: those of the configuration, or without one of what the daemon
 * knows. It never complains: there is nobody to read it.
 */
export async function names({ kind, daemon }: NamesCommand, terminal: Terminal): Promise<number> {
  const tunnels = (daemon.conf === undefined ? undefined : configured(daemon.conf)) ?? (await shown(daemon.socket));
  const listed = tunnels.flatMap(({ name, sessions }) => [
    name,
    ...(kind === "targets" ? sessions.map((session) => `${name}/${session.name}`) : []),
  ]);
  // A name with a line break is none for a shell.
  for (const name of listed) if (!/\p{Cc}/u.test(name)) terminal.out(`${name}\n`);
  return EXIT.done;
}

function configured(path: string): readonly Named[] | undefined {
  try {
    return loadSite(path).tunnels;
  } catch (error) {
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
}

async function shown(socket: string = DEFAULT_ADMIN_SOCKET): Promise<readonly Named[]> {
  const reply = await ask(socket, { command: "show" });
  return reply.ok ? (reply.result as ShowReport).tunnels : [];
}
