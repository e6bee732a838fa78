import type { LcceView } from "../control/view.ts";
import { deviceMtus } from "../kernel/device-mtus.ts";

type Ask = typeof deviceMtus;

/**
 * The MTU that the device of each session has now, by local Session ID: what "auto" has come to, or what somebody else has
 * set. Sessions that are not up have none, and what cannot be asked is left out.
 */
export function sessionMtus(
  { tunnels }: Pick<LcceView, "tunnels">,
  ask: Ask = deviceMtus,
): ReadonlyMap<number, number> {
  const mtus = new Map<number, number>();
  for (const netns of new Set(tunnels.map((tunnel) => tunnel.netns))) {
    const within = tunnels.filter((tunnel) => tunnel.netns === netns).flatMap(({ sessions }) => sessions);
    const up = within.filter(({ state }) => state === "established");
    const found =
      up.length === 0
        ? undefined
        : attempt(() =>
            ask(
              up.map(({ interfaceName }) => interfaceName),
              netns,
            ),
          );
    for (const { interfaceName, localSessionId } of up) {
      const mtu = found?.get(interfaceName);
      if (mtu !== undefined) mtus.set(localSessionId, mtu);
    }
  }
  return mtus;
}

/** The namespace may be gone; that must not hide the rest. */
function attempt<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch {
    return undefined;
  }
}
