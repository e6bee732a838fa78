import { afterAll, beforeAll, expect, test } from "vitest";
import type { SessionParameters } from "../../../src/control/core.ts";
import type { LogEntry } from "../../../src/daemon/log.ts";
import { MtuWarnings } from "../../../src/daemon/mtu-warnings.ts";
import * as sockets from "../../../src/kernel/sockets.ts";
import { PLAIN_SESSION } from "../../support/session-request.ts";

/** Over the loopback, whose MTU is what one packet can have. */
const LONGEST = 65_536;
let fd: number;
beforeAll(() => {
  fd = sockets.openConnectionSocket({ local: { address: "127.0.0.1", port: 0 } });
  sockets.connectSocket(fd, { address: "127.0.0.1", port: 9 });
});
afterAll(() => sockets.close(fd));

function session(mtu: number | "auto", interfaceName = "l2-x"): SessionParameters {
  const ids = { localControlConnectionId: 1, localSessionId: 2, remoteSessionId: 3 };
  return { ...PLAIN_SESSION, ...ids, mtu, interfaceName };
}

test("an MTU that is too large is told once for each session and number, however often it is tried", () => {
  const told: LogEntry[] = [];
  const warnings = new MtuWarnings({ write: (entry) => told.push(entry) });
  const look = (...which: Parameters<typeof session>) => warnings.look(session(...which), { fd, encapsulation: "udp" });
  look(LONGEST);
  look(LONGEST);
  expect(told).toMatchObject([
    {
      level: "warn",
      event: "mtu-too-large",
      message: expect.stringMatching(/^interface l2-x: mtu = 65536 does not fit/),
    },
  ]);
  look(LONGEST, "l2-y");
  look(LONGEST - 1);
  look(LONGEST);
  expect(told.map(({ details }) => details?.["interface"])).toEqual(["l2-x", "l2-y", "l2-x"]);
  look("auto");
  look(1400);
  expect(told).toHaveLength(3);
});
