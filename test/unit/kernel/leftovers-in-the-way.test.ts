import { beforeEach, expect, test } from "vitest";
import type { SessionRequest } from "../../../src/kernel/datapath.ts";
import { aliasOf } from "../../../src/kernel/leftovers.ts";
import { OperationQueue } from "../../../src/kernel/operation-queue.ts";
import type { Completion, Operation } from "../../../src/kernel/operations.ts";
import { FakeKernel, session } from "./fake-kernel.ts";

/** What a process that was killed has left in the kernel, which is on its way out. */
let kernel: FakeKernel;
let queue: OperationQueue;
let completions: Completion[];
let serial: number;

beforeEach(() => {
  kernel = new FakeKernel();
  completions = [];
  serial = 0;
  queue = new OperationQueue({
    calls: kernel,
    now: () => kernel.clock,
    complete: (completion) => completions.push(completion),
    closeDescriptor: () => {},
  });
  kernel.tunnels.add(7);
  kernel.addDevice("l2-1");
  const device = kernel.devices.get("l2-1");
  const dead = aliasOf({ localSessionId: 9, localControlConnectionId: 9 }).replace(/process \d+/, "process 4194305");
  if (device !== undefined) device.alias = dead;
});

function ask(operation: Operation): number {
  queue.push([{ serial, operation }]);
  return serial++;
}

function create(id: number, more: Partial<SessionRequest> = {}): Operation {
  return { type: "create-session", session: session(id, more) };
}

function settle(): void {
  for (let delay = queue.step(); delay !== undefined; delay = queue.step()) kernel.clock += delay;
}

test("a restart waits for what the process before it left, and refuses nothing meanwhile", () => {
  const waiting = ask(create(1));
  queue.step();
  kernel.clock += 20_000;
  queue.step();
  expect(completions).toEqual([]);
  kernel.devices.delete("l2-1");
  kernel.clock += 100;
  settle();
  expect(completions).toEqual([{ serial: waiting }]);
});

test("a leftover that does not go is given up after a while, and waited for once", () => {
  ask(create(1));
  queue.step();
  kernel.clock += 60_000;
  settle();
  expect(completions[0]?.refusal?.message).toContain("interface l2-1 exists already");
  ask(create(2, { interfaceName: "l2-1" }));
  queue.step();
  expect(completions[1]?.refusal?.errno).toBe("EEXIST");
});
