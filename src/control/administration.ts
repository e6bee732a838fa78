import type { AnyTunnel } from "./any-tunnel.ts";
import type { Input } from "./core.ts";
import { because, CDN, STOPCCN } from "./result-codes.ts";
import type { Turn } from "./turn.ts";

type AdministratorsInput = Extract<Input, { readonly type: "open" | "close" }>;

const REASON = "closed by the administrator";

/** What an administrator opens or closes stays so: a tunnel, or one session of it. */
export function administered(
  { type, tunnel: name, session }: AdministratorsInput,
  tunnels: ReadonlyMap<string, AnyTunnel>,
  turn: Turn,
): void {
  const tunnel = tunnels.get(name);
  if (tunnel === undefined) return;
  if (session !== undefined) administeredSession(type, tunnel, session, turn);
  else if (type === "open") tunnel.open(turn);
  else tunnel.close(because(STOPCCN.generalClear, REASON), turn);
}

function administeredSession(type: AdministratorsInput["type"], tunnel: AnyTunnel, name: string, turn: Turn): void {
  const session = tunnel.sessions.get(name);
  const connection = tunnel.live(turn);
  if (type === "open") session?.open(connection, turn);
  else if (session !== undefined) {
    session.state.closed = true;
    if (connection !== undefined) session.close(because(CDN.administrative, REASON), REASON, connection, turn);
  }
}
