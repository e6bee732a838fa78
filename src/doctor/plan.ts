import { DEFAULT_ADMIN_SOCKET, type Site } from "../config/site.ts";

/** What of a site the checks ask about. */
export interface Plan {
  readonly lcce: Pick<Site["lcce"], "listen" | "datapath" | "adminSocket">;
  readonly tunnels: Site["tunnels"];
}

/** Without a configuration the defaults are asked about. */
export const DEFAULT_PLAN: Plan = {
  lcce: { listen: [{ address: "0.0.0.0", port: 1701 }], datapath: "auto", adminSocket: DEFAULT_ADMIN_SOCKET },
  tunnels: [],
};

/** Devices of ours by their names: "paris/lan42". */
export function sessionsOf(plan: Plan) {
  return plan.tunnels.flatMap((tunnel) =>
    tunnel.sessions.map((session) => ({ tunnel, session, name: `${tunnel.name}/${session.name}` })),
  );
}
