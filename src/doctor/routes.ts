import { canonicalNetwork } from "../config/format.ts";
import type { RouteFact } from "../kernel/routes.ts";
import { type Finding, finding, ok } from "./finding.ts";
import { type Plan, sessionsOf } from "./plan.ts";

/** Each network of `routes`: whether a route leads there already. `there`: why that is not known, or the routes. */
export function checkRoutes(there: readonly RouteFact[] | { readonly error: string }, plan: Plan): Finding[] {
  return sessionsOf(plan).flatMap(({ session, name }) =>
    session.routes.map((route) => {
      const [network = ""] = route.split(" via ");
      const check = `route ${network} of session ${name}`;
      if ("error" in there)
        return finding(check, "note", `could not be looked at: ${there.error}`, "see ip route show");
      return checkNetwork(check, network, session.interfaceName, there);
    }),
  );
}

/** The kernel takes no second route to a network with the same metric, and the session's would be refused. */
function checkNetwork(check: string, network: string, own: string, there: readonly RouteFact[]): Finding {
  const canonical = canonicalNetwork(network);
  const found = there.filter(({ destination }) => destination === canonical);
  const foreign = found.find(({ device }) => device !== own);
  if (foreign === undefined) return ok(check, found.length > 0 ? `there, by ${own}` : "nothing is in the way");
  const by = foreign.device === undefined ? "" : ` by ${foreign.device}`;
  const dev = foreign.device === undefined ? "" : ` dev ${foreign.device}`;
  const advice = `remove it (ip route del ${network}${dev}), give it a metric, or leave the network out of routes`;
  return finding(check, "warning", `another route leads there${by}: the session cannot come up`, advice);
}
