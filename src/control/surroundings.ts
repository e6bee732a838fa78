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
      for (const tunnel of input.netns === undefined ? tunnels.values() : within(tunnels, input.netns ?? undefined)) {
        tunnel.hurry(turn);
      }
      return;
    case "address-lost":
      loseAddress(turn.connections.get(input.localControlConnectionId), input.reason, tunnels, turn);
      return;
    case "namespace-lost":
      for (const tunnel of within(tunnels, input.netns)) tunnel.namespaceLost(input.reason, turn);
      return;
    case "namespace-found":
      for (const tunnel of within(tunnels, input.netns)) {
        forgetErrors(tunnel);
        tunnel.hurry(turn);
      }
      return;
  }
}

/** They were the namespace's, or are of connections that went with it. */
function forgetErrors({ state, sessions }: AnyTunnel): void {
  state.lastError = state.closed?.message ?? "";
  for (const session of sessions.values()) if (!session.state.closed) session.state.lastError = "";
}

function within(tunnels: ReadonlyMap<string, AnyTunnel>, netns: string | undefined): readonly AnyTunnel[] {
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
