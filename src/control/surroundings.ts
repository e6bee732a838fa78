import type { AnyTunnel } from "./any-tunnel.ts";
import type { ControlConnection } from "./control-connection.ts";
import type { Input } from "./core.ts";
import type { Turn } from "./turn.ts";

/** What the machine's addresses, routes and interfaces have to do with the tunnels. */
export function surroundingsChanged(
  input: Extract<Input, { readonly type: "surroundings-changed" | "address-lost" }>,
  tunnels: ReadonlyMap<string, AnyTunnel>,
  turn: Turn,
): void {
  if (input.type === "surroundings-changed") for (const tunnel of tunnels.values()) tunnel.hurry(turn);
  else loseAddress(turn.connections.get(input.localControlConnectionId), input.reason, tunnels, turn);
}

function loseAddress(
  connection: ControlConnection | undefined,
  reason: string,
  tunnels: ReadonlyMap<string, AnyTunnel>,
  turn: Turn,
): void {
  if (connection?.state.life === "open") tunnels.get(connection.state.tunnel)?.addressLost(connection, reason, turn);
}
