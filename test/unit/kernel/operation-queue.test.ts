import { beforeEach, expect, test } from "vitest";
import type { SessionRequest } from "../../../src/kernel/datapath.ts";
import { OperationQueue } from "../../../src/kernel/operation-queue.ts";
import type { Completion, Job, Operation } from "../../../src/kernel/operations.ts";
import { FakeKernel, session } from "./fake-kernel.ts";

let kernel: FakeKernel;
let queue: OperationQueue;
let completions: Completion[];
let closedDescriptors: number[];
let serial: number;

beforeEach(() => {
  kernel = new FakeKernel();
  completions = [];
  closedDescriptors = [];
  serial = 0;
  queue = new OperationQueue({
    calls: kernel,
    now: () => kernel.clock,
    complete: (completion) => completions.push(completion),
    closeDescriptor: (fd) => closedDescriptors.push(fd),
  });
  ask(tunnel(7));
  settle();
  completions = [];
  closedDescriptors = [];
  kernel.log.length = 0;
  kernel.batches.length = 0;
});

const tunnel = (localControlConnectionId: number, fd = 100): Operation => ({
  type: "create-tunnel",
  localControlConnectionId,
  remoteControlConnectionId: 1,
  encapsulation: "udp",
  fd,
});
const create = (id: number, more: Partial<SessionRequest> = {}): Operation => ({
  type: "create-session",
  session: session(id, more),
});
const remove = (localSessionId: number): Operation => ({ type: "delete-session", localSessionId });
const raise = (localSessionId: number): Operation => ({ type: "raise-session", localSessionId });
const lower = (localSessionId: number): Operation => ({ type: "lower-session", localSessionId });
const removeTunnel = (localControlConnectionId: number): Operation => ({
  type: "delete-tunnel",
  localControlConnectionId,
});

/** Returns the numbers of the jobs. */
function ask(...operations: Operation[]): number[] {
  const jobs: Job[] = operations.map((operation) => ({ serial: serial++, operation }));
  queue.push(jobs);
  return jobs.map((job) => job.serial);
}

/** Works until nothing is left, or the clock would pass `limitMs`. */
function settle(limitMs = Number.POSITIVE_INFINITY): void {
  for (;;) {
    const delay = queue.step();
    if (delay === undefined || kernel.clock + delay > limitMs) return;
    kernel.clock += delay;
  }
}

function outcomeOf(number: number | undefined): string | undefined {
  const completion = completions.find((each) => each.serial === number);
  return completion === undefined ? "open" : (completion.refusal?.errno ?? "done");
}

test("first come, first served", () => {
  const asked = ask(tunnel(8), create(1), create(2), raise(1), raise(2), removeTunnel(7), create(3), removeTunnel(8));
  settle();
  expect(kernel.log).toEqual([
    "TUNNEL_CREATE 8",
    "SESSION_CREATE 1",
    "SESSION_CREATE 2",
    "SETLINK l2-1 up true",
    "SETLINK l2-2 up true",
    "TUNNEL_DELETE 7",
    "SESSION_CREATE 3",
    "TUNNEL_DELETE 8",
  ]);
  expect(asked.map(outcomeOf)).toEqual(["done", "done", "done", "done", "done", "done", "ENODEV", "done"]);
});

test("neighbouring creations go together, 64 at most", () => {
  ask(...Array.from({ length: 150 }, (_, i) => create(i + 1)));
  settle();
  // The sessions, then what is set on their devices.
  expect(kernel.batches).toEqual([64, 64, 64, 64, 22, 22]);
  expect(kernel.sessions.size).toBe(150);
  expect(completions.map((each) => each.serial)).toEqual(Array.from({ length: 150 }, (_, i) => i + 1));
});

test("the descriptor is closed once the tunnel is made or refused", () => {
  const asked = ask(tunnel(8, 101), tunnel(8, 102));
  settle();
  expect(asked.map(outcomeOf)).toEqual(["done", "EEXIST"]);
  expect(closedDescriptors).toEqual([101, 102]);
});

test("deletions of sessions stand back behind creations, in small portions", () => {
  kernel.deletionMs = 37;
  ask(...Array.from({ length: 20 }, (_, i) => create(i + 1)));
  settle();
  kernel.log.length = 0;
  ask(...Array.from({ length: 20 }, (_, i) => remove(i + 1)));
  queue.step();
  ask(create(100));
  settle();
  // One deletion was under way; the creation comes next, not after the other nineteen.
  expect(kernel.log.slice(0, 3)).toEqual(["SESSION_DELETE 1", "SESSION_CREATE 100", "SESSION_DELETE 2"]);
  expect([...kernel.sessions.keys()]).toEqual([100]);
});

test("a creation waits for the deletion of the same name", () => {
  ask(create(1), create(2), create(3));
  settle();
  kernel.log.length = 0;
  ask(remove(1), remove(2), remove(3), create(9, { interfaceName: "l2-2" }));
  settle();
  expect(kernel.log).toEqual(["SESSION_DELETE 2", "SESSION_CREATE 9", "SESSION_DELETE 1", "SESSION_DELETE 3"]);
  expect([...kernel.sessions.keys()]).toEqual([9]);
});

test("create, delete and create again at once ends with a session", () => {
  const asked = ask(create(1), remove(1), create(1), raise(1));
  settle();
  expect(asked.map(outcomeOf)).toEqual(["done", "done", "done", "done"]);
  expect(kernel.log.filter((line) => line.startsWith("SESSION"))).toEqual([
    "SESSION_CREATE 1",
    "SESSION_DELETE 1",
    "SESSION_CREATE 1",
  ]);
  expect(kernel.devices.get("l2-1")?.up).toBe(true);
});

test("a name that we freed is tried again every 50 ms until it is free, while others go on", () => {
  kernel.slow = true;
  ask(create(1));
  settle();
  const [, , again, other] = ask(removeTunnel(7), tunnel(8), create(2, on(8, "l2-1")), create(3, on(8)));
  settle(kernel.clock + 1000);
  expect([outcomeOf(again), outcomeOf(other)]).toEqual(["open", "done"]);
  const tries = kernel.log.filter((line) => line === "SESSION_CREATE 2").length;
  expect(tries).toBeGreaterThanOrEqual(19);
  expect(tries).toBeLessThanOrEqual(21);
  kernel.finishLeaving();
  settle(kernel.clock + 60);
  expect(outcomeOf(again)).toBe("done");
});

test("after 30 s the wait is over", () => {
  kernel.slow = true;
  ask(create(1));
  settle();
  const [, , again, up] = ask(removeTunnel(7), tunnel(8), create(2, on(8, "l2-1")), raise(2));
  settle(kernel.clock + 29_900);
  expect(outcomeOf(again)).toBe("open");
  settle();
  expect([again, up].map(outcomeOf)).toEqual(["EEXIST", "EEXIST"]);
});

test("the more devices have to go, the longer the wait", () => {
  kernel.slow = true;
  ask(...Array.from({ length: 1000 }, (_, i) => create(i + 1)));
  settle();
  const [, , again] = ask(removeTunnel(7), tunnel(8), create(2000, on(8, "l2-1")));
  settle(kernel.clock + 79_000);
  expect(outcomeOf(again)).toBe("open");
  settle(kernel.clock + 2000);
  expect(outcomeOf(again)).toBe("EEXIST");
});

test("a second session of the same id is refused whatever the kernel thinks of it", () => {
  const asked = ask(create(1), create(1, { interfaceName: "l2-other" }));
  settle();
  expect(asked.map(outcomeOf)).toEqual(["done", "EEXIST"]);
  expect(kernel.log).toEqual(["SESSION_CREATE 1"]);
});

test("a name that others have is refused at once", () => {
  kernel.addDevice("br0");
  const [taken] = ask(create(1, { interfaceName: "br0" }));
  queue.step();
  expect(outcomeOf(taken)).toBe("EEXIST");
});

test("what waits is raised, cancelled or deleted in the order of the calls", () => {
  kernel.slow = true;
  ask(create(1), create(2), create(3));
  settle();
  const [, , first, up, second, gone, third, all] = ask(
    removeTunnel(7),
    tunnel(8),
    create(1, on(8)),
    raise(1),
    create(2, on(8)),
    remove(2),
    create(3, on(9)),
    removeTunnel(9),
  );
  settle(kernel.clock + 200);
  expect([first, up, second, gone].map(outcomeOf)).toEqual(["open", "open", "ECANCELED", "done"]);
  expect([third, all].map(outcomeOf)).toEqual(["ENODEV", "done"]);
  kernel.finishLeaving();
  settle();
  expect([first, up].map(outcomeOf)).toEqual(["done", "done"]);
  expect(kernel.devices.get("l2-1")?.up).toBe(true);
});

test("raised and lowered in the order of the calls, in one batch and in several", () => {
  const ADDRESSES = ["10.0.0.1/30", "2001:db8::1/64"];
  ask(create(1, { addresses: ADDRESSES }), create(2), raise(1), raise(2));
  settle();
  kernel.log.length = 0;
  kernel.batches.length = 0;
  const asked = ask(lower(1), lower(2), raise(1), lower(1), lower(1), raise(1), raise(1), raise(2), lower(2));
  settle();
  expect(asked.map(outcomeOf)).toEqual(asked.map(() => "done"));
  const [back, up, down] = [ADDRESSES.map((each) => `NEWADDR l2-1 ${each}`), "up true", "up false"];
  expect(kernel.log).toEqual([
    `SETLINK l2-1 ${down}`,
    `SETLINK l2-2 ${down}`,
    ...back,
    `SETLINK l2-1 ${up}`,
    `SETLINK l2-1 ${down}`,
    `SETLINK l2-1 ${down}`,
    ...back,
    `SETLINK l2-1 ${up}`,
    `SETLINK l2-1 ${up}`,
    `SETLINK l2-2 ${up}`,
    `SETLINK l2-2 ${down}`,
  ]);
  expect(kernel.devices.get("l2-1")).toMatchObject({ up: true, addresses: ADDRESSES });
  expect(kernel.devices.get("l2-2")).toMatchObject({ up: false });
  // One look-up, and one batch of settings.
  expect(kernel.batches).toEqual([1, 13]);
  ask(lower(1));
  settle();
  expect(kernel.devices.get("l2-1")).toMatchObject({ up: false, addresses: ["10.0.0.1/30"] });
  ask(raise(1));
  settle();
  expect(kernel.devices.get("l2-1")).toMatchObject({ up: true, addresses: ADDRESSES });
});

test("what was lowered, deleted and made again is a new session: nothing is put back on it", () => {
  const [made, up, down, gone, again, raised] = ask(
    create(1, { addresses: ["10.0.0.1/30"] }),
    raise(1),
    lower(1),
    remove(1),
    create(1),
    raise(1),
  );
  settle();
  expect([made, up, down, gone, again, raised].map(outcomeOf)).toEqual(Array(6).fill("done"));
  expect(kernel.devices.get("l2-1")).toMatchObject({ up: true, addresses: [] });
});

test("lowering what is not there, or is being deleted, is refused and touches nothing", () => {
  ask(create(1));
  settle();
  kernel.log.length = 0;
  const asked = ask(lower(5), remove(1), lower(1), raise(1));
  queue.step();
  settle();
  expect(asked.map(outcomeOf)).toEqual(["ENODEV", "done", "ENODEV", "ENODEV"]);
  expect(kernel.log).toEqual(["SESSION_DELETE 1"]);
});

test("what waits to be made is raised and lowered in order when it is, or refused with it", () => {
  kernel.slow = true;
  ask(create(1), create(2));
  settle();
  const asked = ask(
    removeTunnel(7),
    tunnel(8),
    create(1, on(8)),
    raise(1),
    lower(1),
    create(2, on(8)),
    lower(2),
    raise(2),
  );
  settle(kernel.clock + 100);
  expect(asked.slice(2).map(outcomeOf)).toEqual(Array(6).fill("open"));
  kernel.finishLeaving();
  settle();
  expect(asked.map(outcomeOf)).toEqual(Array(8).fill("done"));
  expect([kernel.devices.get("l2-1")?.up, kernel.devices.get("l2-2")?.up]).toEqual([false, true]);
  kernel.slow = true;
  const given = ask(removeTunnel(8), tunnel(9), create(3, on(9, "l2-1")), raise(3), lower(3), remove(3));
  settle();
  expect(given.slice(2).map(outcomeOf)).toEqual(["ECANCELED", "ECANCELED", "ECANCELED", "done"]);
});

test("a tunnel that is deleted takes its waiting sessions along", () => {
  kernel.slow = true;
  ask(create(1));
  settle();
  const [, , waiting, up, gone] = ask(removeTunnel(7), tunnel(8), create(5, on(8, "l2-1")), raise(5), removeTunnel(8));
  settle(kernel.clock + 100);
  expect([waiting, up, gone].map(outcomeOf)).toEqual(["ECANCELED", "ECANCELED", "done"]);
});

test("a name that a half-made session had is tried again until the kernel has let it go", () => {
  kernel.lingering = true;
  kernel.broken.set("RTM_SETLINK", "EINVAL");
  const [failed] = ask(create(1, { mtu: 5 }));
  settle();
  kernel.broken.clear();
  const [successor] = ask(create(2, { interfaceName: "l2-1" }));
  settle(kernel.clock + 200);
  expect([failed, successor].map(outcomeOf)).toEqual(["EINVAL", "open"]);
  kernel.finishLeaving();
  settle();
  expect(outcomeOf(successor)).toBe("done");
});

test("what nobody knows the outcome of is taken away again, and its name may come back", () => {
  kernel.lingering = true;
  kernel.unheard.add("SESSION_CREATE");
  const [lost] = ask(create(1));
  settle();
  kernel.unheard.clear();
  expect(outcomeOf(lost)).toBe("ENOBUFS");
  expect(kernel.log).toEqual(["SESSION_CREATE 1", "SESSION_DELETE 1"]);
  const [successor] = ask(create(2, { interfaceName: "l2-1" }));
  settle(kernel.clock + 200);
  kernel.finishLeaving();
  settle();
  expect(outcomeOf(successor)).toBe("done");
});

test("a step stays short however many sessions wait, and counters are read in between", () => {
  kernel.slow = true;
  const ids = Array.from({ length: 500 }, (_, i) => i + 1);
  ask(...ids.map((id) => create(id)));
  settle();
  ask(removeTunnel(7), tunnel(8), create(1000, on(8)), ...ids.map((id) => create(2000 + id, on(8, `l2-${id}`))));
  settle(kernel.clock + 10);
  kernel.finishLeaving();
  kernel.clock += 50;
  kernel.log.length = 0;
  const [counters] = ask({ type: "counters", localControlConnectionId: 8 });
  queue.step();
  expect(kernel.log.filter((line) => line.startsWith("SESSION_CREATE")).length).toBeLessThanOrEqual(16);
  queue.step();
  expect(outcomeOf(counters)).toBe("done");
  settle();
  expect(kernel.sessions.size).toBe(501);
});

test("many waiting sessions take few calls, and those that are free come first", () => {
  kernel.slow = true;
  const ids = Array.from({ length: 200 }, (_, i) => i + 1);
  ask(...ids.map((id) => create(id)));
  settle();
  ask(removeTunnel(7), tunnel(8), ...ids.map((id) => create(id, on(8))));
  settle(kernel.clock + 10);
  kernel.log.length = 0;
  settle(kernel.clock + 1000);
  expect(kernel.log.length).toBeLessThanOrEqual(20 * 16);
  kernel.finishLeaving();
  settle();
  expect(kernel.sessions.size).toBe(200);
});

test("the deletion of a tunnel includes the deletions of its sessions that stood back", () => {
  kernel.deletionMs = 37;
  ask(create(1), create(2), create(3));
  settle();
  kernel.log.length = 0;
  const asked = ask(remove(1), remove(2), remove(3), removeTunnel(7));
  settle();
  expect(asked.map(outcomeOf)).toEqual(["done", "done", "done", "done"]);
  expect(kernel.log).toEqual(["TUNNEL_DELETE 7"]);
});

test("deleting what was never made asks the kernel nothing", () => {
  const asked = ask(remove(5), removeTunnel(5), remove(5));
  settle();
  expect(asked.map(outcomeOf)).toEqual(["done", "done", "done"]);
  expect(kernel.log).toEqual([]);
});

test("counters of one tunnel or of all, in portions", () => {
  ask(tunnel(8), ...Array.from({ length: 100 }, (_, i) => create(i + 1)), create(200, on(8)));
  settle();
  kernel.batches.length = 0;
  const [one, all] = ask(
    { type: "counters", localControlConnectionId: 8 },
    { type: "counters", localControlConnectionId: undefined },
  );
  settle();
  const counters = (number: number | undefined) => completions.find((each) => each.serial === number)?.counters;
  expect(counters(one)?.map((each) => each.localSessionId)).toEqual([200]);
  expect(counters(all)?.length).toBe(101);
  expect(kernel.batches).toEqual([1, 64, 37]);
});

test("close deletes every tunnel and waits for the devices, but not for ever", () => {
  kernel.slow = true;
  ask(create(1), create(2));
  settle();
  const [closed] = ask({ type: "close" });
  settle(kernel.clock + 1000);
  expect(kernel.tunnels.size).toBe(0);
  expect([outcomeOf(closed), queue.closed]).toEqual(["open", false]);
  kernel.finishLeaving();
  settle();
  expect([outcomeOf(closed), queue.closed]).toEqual(["done", true]);

  const began = kernel.clock;
  expect(queue.step()).toBeUndefined();
  expect(kernel.clock - began).toBe(0);
});

test("close gives up after two seconds", () => {
  kernel.slow = true;
  ask(create(1));
  settle();
  const began = kernel.clock;
  const [closed] = ask({ type: "close" });
  settle();
  expect(outcomeOf(closed)).toBe("done");
  expect(kernel.clock - began).toBe(2000);
});

function on(localControlConnectionId: number, interfaceName?: string): Partial<SessionRequest> {
  return { localControlConnectionId, ...(interfaceName !== undefined && { interfaceName }) };
}
