import type { AnyTunnel } from "./any-tunnel.ts";
import type { ControlConnection } from "./control-connection.ts";
import type { Input } from "./core.ts";
import { Session } from "./session.ts";
import type { Turn } from "./turn.ts";

type CircuitInput = Extract<Input, { readonly type: "circuit" | "circuit-errors" }>;

/** What happens at an attachment circuit concerns every session that continues there. */
export function circuitInput(input: CircuitInput, tunnels: ReadonlyMap<string, AnyTunnel>, turn: Turn): void {
  for (const [session, connection] of attachedTo(input, tunnels, turn)) {
    if (input.type === "circuit") session.circuitChanged(input.condition, connection, turn);
    else session.circuitErrors(input.errors, connection, turn);
  }
}

/** The sessions with this attachment circuit, and the control connection of each that has one. */
function* attachedTo(
  { interfaceName, netns }: CircuitInput,
  tunnels: ReadonlyMap<string, AnyTunnel>,
  { connections }: Turn,
): Generator<readonly [Session, ControlConnection | undefined]> {
  for (const { configuration, sessions } of tunnels.values()) {
    if (configuration.netns !== netns) continue;
    for (const session of sessions.values()) {
      if (!(session instanceof Session) || circuitOf(session) !== interfaceName) continue;
      const connection = connections.get(session.state.localControlConnectionId);
      yield [session, connection?.state.life === "open" ? connection : undefined];
    }
  }
}

/** The interface that a pseudowire continues at; its own device where none is configured. */
function circuitOf({ configuration: { circuit, interfaceName } }: Session): string {
  return circuit ?? interfaceName;
}
