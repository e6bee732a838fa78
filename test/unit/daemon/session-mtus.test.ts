import { expect, test } from "vitest";
import { sessionMtus } from "../../../src/daemon/session-mtus.ts";
import { deviceMtus } from "../../../src/kernel/device-mtus.ts";
import { KernelError } from "../../../src/kernel/kernel-error.ts";
import { sessionView, tunnelView } from "../../support/show-views.ts";

const up = (localSessionId: number, interfaceName: string) => sessionView({ localSessionId, interfaceName });

test("the MTU is the device's, in its namespace", async () => {
  const asked: unknown[] = [];
  const tunnels = [
    tunnelView({ sessions: [up(1, "a"), up(2, "b"), sessionView({ localSessionId: 3, state: "wait-reply" })] }),
    tunnelView({ netns: "blue", sessions: [up(4, "a")] }),
    tunnelView({ netns: "idle", sessions: [sessionView({ localSessionId: 0, state: "idle" })] }),
    tunnelView({ sessions: [up(5, "gone")] }),
  ];
  const mtus = await sessionMtus({ tunnels }, (names, netns) => {
    asked.push([netns, ...names]);
    return new Map(netns === "blue" ? [["a", 1_400]] : Object.entries({ a: 1_442, b: 1_438 }));
  });
  expect([...mtus]).toEqual([
    [1, 1_442],
    [2, 1_438],
    [4, 1_400],
  ]);
  expect(asked).toEqual([
    [undefined, "a", "b", "gone"],
    ["blue", "a"],
  ]);
});

test("a namespace that cannot be entered hides nothing of the others", async () => {
  const tunnels = [tunnelView({ netns: "gone", sessions: [up(1, "a")] }), tunnelView({ sessions: [up(2, "b")] })];
  const mtus = await sessionMtus({ tunnels }, (_, netns) => {
    if (netns === "gone") throw new KernelError("it does not exist", { errno: "ENOENT", command: "setns" });
    return new Map([["b", 1_500]]);
  });
  expect([...mtus]).toEqual([[2, 1_500]]);
});

test("thousands are asked for in parts, with a turn for everybody else in between", async () => {
  const sessions = Array.from({ length: 200 }, (_, index) => up(index + 1, `d${index}`));
  let turns = 0;
  const begun: number[] = [];
  const mtus = sessionMtus({ tunnels: [tunnelView({ sessions })] }, (names) => {
    begun.push(turns);
    setImmediate(() => {
      turns += 1;
    });
    return new Map(names.map((name) => [name, 1_442]));
  });
  expect((await mtus).size).toBe(200);
  expect(begun).toEqual([0, 1, 2, 3]);
});

test("the kernel tells it of a device that everybody has, and nothing of one that nobody has", () => {
  const mtus = deviceMtus(["lo", "no-such-device"], undefined);
  expect([...mtus.keys()]).toEqual(["lo"]);
  expect(mtus.get("lo")).toBeGreaterThan(1_279);
});
