import type { AnyTunnel } from "./any-tunnel.ts";
import type { ControlConnection } from "./control-connection.ts";
import type { Input } from "./core.ts";
import type { Turn } from "./turn.ts";

/** What the machine's addresses, routes and interfaces have to do with the tunnels. */
export function surroundingsChanged(
  input: Extract<
    Input,
    { readonly type: "surroundings-changed" | "address-lost" | "namespace-lost" | "namespace-found" }
  >,
  tunnels: ReadonlyMap<string, AnyTunnel>,
  turn: Turn,
): void {
  switch (input.type) {
    case "surroundings-changed":
      for (const tunnel of tunnels.values()) tunnel.hurry(turn);
      return;
    case "address-lost":
      loseAddress(turn.connections.get(input.localControlConnectionId), input.reason, tunnels, turn);
      return;
    case "namespace-lost":
      for (const tunnel of within(tunnels, input.netns)) tunnel.namespaceLost(input.reason, turn);
      return;
    case "namespace-found":
      for (const tunnel of within(tunnels, input.netns)) tunnel.hurry(turn);
      return;
  }
}

function within(tunnels: ReadonlyMap<string, AnyTunnel>, netns: string): readonly AnyTunnel[] {
  return Array.from(tunnels.values()).filter(({ configuration }) => configuration.netns === netns);
}

function loseAddress(
  connection: ControlConnection | undefined,
  reason: string,
  tunnels: ReadonlyMap<string, AnyTunnel>,
  turn: Turn,
): void {
  if (connection?.state.life === "open") tunnels.get(connection.state.tunnel)?.addressLost(connection, reason, turn);
}
