import { describe, expect, test } from "vitest";
import { checkRoutes } from "../../../src/doctor/routes.ts";
import { plan, verdicts } from "./plans.ts";

describe("routes", () => {
  const site = plan({ session: 'interface = "l2-x"\nroutes = ["10.2.0.0/16", "2001:DB8:2::/48"]' });
  const [IPV4, IPV6] = ["route 10.2.0.0/16 of session paris/lan42", "route 2001:DB8:2::/48 of session paris/lan42"];

  test("nothing is in the way, or they are there by the session's own interface", () => {
    const others = [{ destination: "10.2.0.0/24", device: "eth0" }];
    expect(verdicts(checkRoutes(others, site))).toEqual([`ok ${IPV4}`, `ok ${IPV6}`]);
    const own = [{ destination: "10.2.0.0/16", device: "l2-x" }];
    expect(checkRoutes(own, site)[0]).toMatchObject({ status: "ok", found: "there, by l2-x" });
  });

  test("another route leads there: a warning with what to do", () => {
    const taken = [
      { destination: "10.2.0.0/16", device: "eth0" },
      { destination: "2001:db8:2::/48", device: undefined },
    ];
    expect(checkRoutes(taken, site)).toEqual([
      {
        check: IPV4,
        status: "warning",
        found: "another route leads there by eth0: the session cannot come up",
        advice: "remove it (ip route del 10.2.0.0/16 dev eth0), give it a metric, or leave the network out of routes",
      },
      {
        check: IPV6,
        status: "warning",
        found: "another route leads there: the session cannot come up",
        advice: "remove it (ip route del 2001:DB8:2::/48), give it a metric, or leave the network out of routes",
      },
    ]);
  });

  test("routes that could not be read are a note", () => {
    expect(checkRoutes({ error: "x" }, site)[0]).toMatchObject({ status: "note", found: "could not be looked at: x" });
  });
});
