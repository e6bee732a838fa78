import type { AnyTunnel } from "./any-tunnel.ts";
import type { ControlConnection } from "./control-connection.ts";
import type { Input } from "./core.ts";
import { forgetErrors } from "./present-error.ts";
import type { TunnelState } from "./tunnel-state.ts";
import type { Turn } from "./turn.ts";

/** How often it is logged that an SCCRQ is not answered, so that nobody fills the log from outside. */
const UNPROTECTED_LOG_MS = 60_000;

/** What the machine's addresses, routes, interfaces and IPsec policies have to do with the tunnels. */
export function surroundingsChanged(
  input: Extract<
    Input,
    {
      readonly type:
        | "surroundings-changed"
        | "address-lost"
        | "protection-lost"
        | "protection-found"
        | "unprotected"
        | "namespace-lost"
        | "namespace-found";
    }
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
    case "protection-lost":
      loseProtection(turn.connections.get(input.localControlConnectionId), input.reason, tunnels, turn);
      return;
    case "protection-found":
      tunnels.get(input.tunnel)?.hurry(turn);
      return;
    case "unprotected":
      discardUnprotected(tunnels.get(input.tunnel)?.state, input.reason, turn);
      return;
    case "namespace-lost":
      for (const tunnel of within(tunnels, input.netns)) tunnel.namespaceLost(input.reason, turn);
      return;
    case "namespace-found":
      for (const tunnel of within(tunnels, input.netns)) {
        // They were the namespace's, or are of connections that went with it.
        forgetErrors(tunnel);
        tunnel.hurry(turn);
      }
      return;
  }
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

/** Nothing of it may leave any more, no StopCCN either. What is closing already has nothing to say. */
function loseProtection(
  connection: ControlConnection | undefined,
  reason: string,
  tunnels: ReadonlyMap<string, AnyTunnel>,
  turn: Turn,
): void {
  if (connection?.state.life === "open") tunnels.get(connection.state.tunnel)?.protectionLost(connection, reason, turn);
  else connection?.release(turn);
}

/** An SCCRQ that nothing protects the answer to is dropped in silence, and spoken of once a minute. */
function discardUnprotected(state: TunnelState | undefined, reason: string, turn: Turn): void {
  if (state === undefined) return;
  if (state.live === 0) state.lastError = reason;
  const { unprotected } = state;
  unprotected.count += 1;
  if (unprotected.count > 1 && turn.now - unprotected.loggedAt < UNPROTECTED_LOG_MS) return;
  unprotected.loggedAt = turn.now;
  turn.log("warn", "ipsec-missing", `SCCRQ not answered: ${reason}`, { tunnel: state.name });
}
