import { listenWithin } from "../config/listen.ts";
import { DEFAULT_ADMIN_SOCKET, type Site } from "../config/site.ts";

/** What of a site the checks ask about. */
export interface Plan {
  readonly lcce: Pick<Site["lcce"], "listen" | "datapath" | "adminSocket" | "freebind">;
  readonly tunnels: Site["tunnels"];
  readonly given: Site["given"];
}

/** Without a configuration the defaults are asked about. */
export const DEFAULT_PLAN: Plan = {
  lcce: {
    listen: [{ address: "0.0.0.0", port: 1701 }],
    datapath: "auto",
    adminSocket: DEFAULT_ADMIN_SOCKET,
    freebind: false,
  },
  tunnels: [],
  given: new Set(["lcce.listen"]),
};

/** Devices of ours by their names: "paris/lan42". */
export function sessionsOf(plan: Plan) {
  return plan.tunnels.flatMap((tunnel) =>
    tunnel.sessions.map((session) => ({ tunnel, session, name: `${tunnel.name}/${session.name}` })),
  );
}

/** What of it concerns one network namespace; `undefined`: the daemon's own. */
export function planWithin(plan: Plan, netns: string | undefined): Plan {
  const tunnels = plan.tunnels.filter((tunnel) => tunnel.netns === netns);
  return { ...plan, lcce: { ...plan.lcce, listen: listenWithin(plan, netns) }, tunnels };
}
