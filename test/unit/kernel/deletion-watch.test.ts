import { beforeEach, expect, test } from "vitest";
import type { DatapathNews } from "../../../src/kernel/datapath.ts";
import { DeletionWatch } from "../../../src/kernel/deletion-watch.ts";
import { Inventory } from "../../../src/kernel/inventory.ts";
import type { L2tpNews } from "../../../src/kernel/l2tp-genl.ts";
import { FakeKernel, session } from "./fake-kernel.ts";

const SECOND = 1_000;
/** Connection 7 of ours is 8 to its peer, session 1 is 1001. */
const OURS = { connectionId: 7, peerConnectionId: 8, sessionId: 1, peerSessionId: 1_001 };

let kernel: FakeKernel;
let inventory: Inventory;
let watch: DeletionWatch;
let told: DatapathNews[];

beforeEach(() => {
  kernel = new FakeKernel();
  inventory = new Inventory(() => kernel.clock);
  told = [];
  watch = new DeletionWatch({
    inventory,
    calls: kernel,
    now: () => kernel.clock,
    tell: (news) => told.push(news),
  });
  for (const id of [1, 2]) make(id);
  kernel.log.length = 0;
});

function make(id: number): void {
  if (!inventory.hasTunnel(7)) inventory.addTunnel(7, 8);
  inventory.addSession(session(id));
  kernel.tunnels.add(7);
  kernel.sessions.set(id, { connectionId: 7, sessionId: id });
}

function hearOfSession(ids: Omit<Extract<L2tpNews, { readonly type: "session-deleted" }>, "type">): void {
  watch.take({ type: "session-deleted", ...ids });
  work();
}

function work(): number {
  for (;;) {
    const pause = watch.step();
    if (pause > 0) return pause;
  }
}

/** Lets it work whenever it wants to. */
function wait(ms: number): void {
  const end = kernel.clock + ms;
  for (let pause = work(); kernel.clock < end; pause = work()) kernel.clock = Math.min(end, kernel.clock + pause);
}

const lost = [{ type: "session-lost", localSessionId: 1, reason: "someone deleted session 1 in the kernel" }];

test.each([
  ["of another connection", { connectionId: 9 }],
  ["of a connection with another peer", { peerConnectionId: 9 }],
  ["with another peer's session", { peerSessionId: 4_711 }],
  ["that we have not got", { sessionId: 3 }],
])("a session %s is deleted, in another network namespace: it is not ours", (_, foreign) => {
  // Were it believed, or even asked for, ours would be found gone.
  kernel.sessions.clear();
  hearOfSession({ ...OURS, ...foreign });
  wait(10 * SECOND);
  expect(told).toEqual([]);
  expect(kernel.log).toEqual([]);
  // The same announcement, but ours: the case above would be noticed.
  hearOfSession(OURS);
  expect(told).toEqual(lost);
});

test("a session of ours is deleted: that is told once, at once", () => {
  kernel.sessions.delete(1);
  hearOfSession(OURS);
  expect(told).toEqual(lost);
  wait(10 * SECOND);
  expect(told).toEqual(lost);
  expect(watch.step()).toBe(Number.POSITIVE_INFINITY);
});

test("a session in another network namespace has all four ids of ours: ours is there, and stays", () => {
  hearOfSession(OURS);
  wait(10 * SECOND);
  expect(told).toEqual([]);
  expect(kernel.log.length).toBeLessThanOrEqual(4);
  expect(watch.step()).toBe(Number.POSITIVE_INFINITY);
});

test("the kernel announces before it deletes: it is asked again a little later", () => {
  hearOfSession(OURS);
  expect(told).toEqual([]);
  kernel.sessions.delete(1);
  wait(SECOND / 10);
  expect(told).toEqual(lost);
});

test("what was lost, removed or made anew meanwhile is no news", () => {
  hearOfSession(OURS);
  expect(watch.settle(1)).toBe("someone deleted session 1 in the kernel");
  expect(watch.settle(1)).toBeUndefined();
  hearOfSession({ ...OURS, sessionId: 2, peerSessionId: 1_002 });
  inventory.removeSession(2);
  kernel.sessions.clear();
  wait(10 * SECOND);
  expect(told).toEqual([]);
});

test("an error of the way to the kernel is no sign that a session is gone", () => {
  kernel.broken.set("L2TP_CMD_SESSION_GET", "ENOBUFS");
  hearOfSession(OURS);
  wait(10 * SECOND);
  expect(told).toEqual([]);
});

const tunnelLost = [
  { type: "tunnel-lost", localControlConnectionId: 7, reason: "someone deleted tunnel 7 in the kernel" },
];

test("a tunnel is ours where both ids are", () => {
  watch.take({ type: "tunnel-deleted", connectionId: 7, peerConnectionId: 9 });
  expect(told).toEqual([]);
  watch.take({ type: "tunnel-deleted", connectionId: 7, peerConnectionId: 8 });
  expect(told).toEqual(tunnelLost);
  expect(inventory.tunnels()).toEqual([]);
});

test("of a tunnel with one id for both ends the kernel is asked", () => {
  inventory.addTunnel(5, 5);
  kernel.tunnels.add(5);
  watch.take({ type: "tunnel-deleted", connectionId: 5, peerConnectionId: 5 });
  expect(told).toEqual([]);
  kernel.tunnels.delete(7);
  watch.reconcile();
  expect(told).toEqual(tunnelLost);
  expect(inventory.tunnels()).toEqual([5]);
});
