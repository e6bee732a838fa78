import { setImmediate } from "node:timers/promises";
import type { LcceView, SessionView, TunnelView } from "../control/view.ts";
import { deviceMtus } from "../kernel/device-mtus.ts";

type Ask = typeof deviceMtus;

/** Devices that are asked for at once: some 3 ms, after which everybody else has a turn. */
const AT_ONCE = 64;

/**
 * The MTU that the device of each session has now, by local Session ID: what "auto" has come to, or what somebody else has
 * set. Sessions that are not up have none, and what cannot be asked is left out.
 */
export async function sessionMtus(
  { tunnels }: Pick<LcceView, "tunnels">,
  ask: Ask = deviceMtus,
): Promise<ReadonlyMap<number, number>> {
  const mtus = new Map<number, number>();
  for (const { netns, sessions } of partsOf(tunnels)) {
    const found = attempt(() =>
      ask(
        sessions.map(({ interfaceName }) => interfaceName),
        netns,
      ),
    );
    for (const { interfaceName, localSessionId } of sessions) {
      const mtu = found?.get(interfaceName);
      if (mtu !== undefined) mtus.set(localSessionId, mtu);
    }
    await setImmediate();
  }
  return mtus;
}

interface Part {
  readonly netns: string | undefined;
  readonly sessions: readonly SessionView[];
}

/** Those that are up, of one namespace each. */
function* partsOf(tunnels: readonly TunnelView[]): Generator<Part> {
  for (const netns of new Set(tunnels.map((tunnel) => tunnel.netns))) {
    const within = tunnels.filter((tunnel) => tunnel.netns === netns).flatMap(({ sessions }) => sessions);
    const up = within.filter(({ state }) => state === "established");
    for (let first = 0; first < up.length; first += AT_ONCE) {
      yield { netns, sessions: up.slice(first, first + AT_ONCE) };
    }
  }
}

/** The namespace may be gone; that must not hide the rest. */
function attempt<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch {
    return undefined;
  }
}
