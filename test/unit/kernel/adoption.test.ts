import { beforeEach, describe, expect, test } from "vitest";
import { makeAgain } from "../../../src/kernel/adoption.ts";
import type { AdoptedSession, TunnelRequest } from "../../../src/kernel/datapath.ts";
import { KernelDatapath } from "../../../src/kernel/kernel-datapath.ts";
import type { KernelThreadEvents } from "../../../src/kernel/kernel-thread.ts";
import { aliasOf, removeLeftovers } from "../../../src/kernel/leftovers.ts";
import * as libc from "../../../src/kernel/libc.ts";
import { close, socket } from "../../../src/kernel/libc.ts";
import { NoneDatapath } from "../../../src/kernel/none-datapath.ts";
import { OperationQueue } from "../../../src/kernel/operation-queue.ts";
import type { Completion } from "../../../src/kernel/operations.ts";
import { FakeKernel, session } from "./fake-kernel.ts";

/** Above the largest process number that Linux gives. */
const DEAD = 4_194_305;
const TUNNEL = { localControlConnectionId: 7, remoteControlConnectionId: 70, encapsulation: "udp" } as const;

let kernel: FakeKernel;
let queue: OperationQueue;
let switched: string[];

beforeEach(() => {
  kernel = new FakeKernel();
  switched = [];
});

const adopted = (id: number, more: Partial<AdoptedSession> = {}): AdoptedSession => ({
  session: session(id),
  made: true,
  raised: true,
  ...more,
});

/** A daemon over the kernel as it is: its thread works at once. */
function begin(): KernelDatapath {
  const completions: Completion[] = [];
  queue = new OperationQueue({
    calls: kernel,
    now: () => kernel.clock,
    complete: (completion) => completions.push(completion),
    closeDescriptor: close,
    devices: {
      added: ({ interfaceName }) => switched.push(`${interfaceName} added`),
      changed: () => {},
      removed: () => {},
      switched: (id, up) => switched.push(`${id} ${up ? "up" : "down"}`),
    },
  });
  const start = (events: KernelThreadEvents) => ({
    post(jobs: Parameters<OperationQueue["push"]>[0]) {
      queue.push(jobs);
      while (queue.step() === 0);
      queueMicrotask(() => events.completed(completions.splice(0)));
    },
    responds: () => true,
  });
  const silent = { sessionLost() {}, tunnelLost() {}, portChanged() {}, noticed() {} };
  return new KernelDatapath(silent, start);
}

function request(): TunnelRequest {
  return { ...TUNNEL, fd: socket(libc.AF_INET, libc.SOCK_DGRAM, 0), onControlDatagram: () => {} };
}

/** What another process had, and is dead. */
async function leave(...sessions: readonly AdoptedSession[]): Promise<void> {
  const datapath = begin();
  await datapath.createTunnel(request());
  for (const each of sessions) {
    await datapath.createSession(each.session);
    if (each.raised) await datapath.raiseSession(each.session.localSessionId);
  }
  for (const device of kernel.devices.values()) {
    device.alias = device.alias.replace(`process ${process.pid}`, `process ${DEAD}`);
  }
  kernel.log.length = 0;
  switched = [];
}

describe("a kernel tunnel of an earlier process", () => {
  test("is taken over with its sessions, and nothing is made or changed", async () => {
    await leave(adopted(1), adopted(2, { raised: false }));
    const datapath = begin();
    expect(await datapath.adoptTunnel(request(), [adopted(1), adopted(2, { raised: false })])).toEqual(new Map());
    expect(kernel.log).toEqual(["TUNNEL_GET 7", "SESSION_GET 1", "SESSION_GET 2"]);
    expect(switched).toEqual(["l2-1 added", "l2-2 added", "1 up"]);
    // Should this process die as well, they are its.
    expect([...kernel.devices.values()].map(({ alias }) => alias)).toEqual([
      aliasOf({ localControlConnectionId: 7, localSessionId: 1 }),
      aliasOf({ localControlConnectionId: 7, localSessionId: 2 }),
    ]);
    await datapath.deleteTunnel(7);
    expect(kernel.tunnels.size + kernel.sessions.size).toBe(0);
  });

  test("gets what its process had not come to: a device up, one down, and an answer", async () => {
    await leave(adopted(1, { raised: false }), adopted(2), adopted(3, { raised: false }));
    const datapath = begin();
    const unanswered = [adopted(3, { made: false, raised: false }), adopted(4, { made: false, raised: false })];
    const lost = await datapath.adoptTunnel(request(), [adopted(1), adopted(2, { raised: false }), ...unanswered]);
    expect(lost).toEqual(new Map());
    expect(kernel.devices.get("l2-1")?.up).toBe(true);
    expect(kernel.devices.get("l2-2")?.up).toBe(false);
    expect(kernel.log.filter((line) => line.startsWith("SESSION_DELETE"))).toEqual([
      "SESSION_DELETE 3",
      "SESSION_DELETE 4",
    ]);
    expect(kernel.log.filter((line) => line.startsWith("SESSION_CREATE"))).toEqual([
      "SESSION_CREATE 3",
      "SESSION_CREATE 4",
    ]);
    expect([...kernel.sessions.keys()].sort()).toEqual([1, 2, 3, 4]);
  });

  test("says which sessions are not there, or are others", async () => {
    await leave(adopted(1), adopted(2), adopted(3));
    kernel.sessions.delete(1);
    kernel.devices.delete("l2-2");
    kernel.sessions.set(3, { ...kernel.sessions.get(3), peerSessionId: 5 });
    const lost = await begin().adoptTunnel(request(), [adopted(1), adopted(2), adopted(3)]);
    expect([...lost]).toEqual([
      [1, "the kernel has session 1 no longer"],
      [2, "interface l2-2 is gone"],
      [3, "the kernel has another session 3"],
    ]);
  });

  test("is made anew where it is not there, without its sessions", async () => {
    const lost = await begin().adoptTunnel(request(), [adopted(1)]);
    expect([...lost]).toEqual([[1, "the kernel has its tunnel no longer"]]);
    expect([...kernel.tunnels]).toEqual([7]);
  });

  test("is left alone where it is another one", async () => {
    await leave(adopted(1));
    const other = { ...request(), remoteControlConnectionId: 71 };
    await expect(begin().adoptTunnel(other, [adopted(1)])).rejects.toThrow(/cannot make kernel tunnel 7/);
    expect(kernel.sessions.size).toBe(1);
  });

  test("is no leftover, but a session in it that nobody knows is", async () => {
    await leave(adopted(1), adopted(2), adopted(3));
    const links = [...kernel.devices.values()];
    expect(removeLeftovers(kernel, links, new Map([[7, new Set([1, 3])]]))).toEqual(["l2-2"]);
    expect(kernel.log).toEqual(["SESSION_DELETE 2"]);
    expect(removeLeftovers(kernel, links, new Map([[8, new Set([1])]]))).toEqual(["l2-1", "l2-2", "l2-3"]);
    expect(kernel.tunnels.size).toBe(0);
  });
});

test("where nothing outlives a process everything is made again, with the same ids", async () => {
  const asked: string[] = [];
  class Noting extends NoneDatapath {
    override async createTunnel(): Promise<void> {
      asked.push("tunnel");
    }
    override async createSession(...args: readonly unknown[]): Promise<void> {
      const [{ localSessionId }] = args as [{ localSessionId: number }];
      asked.push(`session ${localSessionId}`);
      if (localSessionId === 2) throw new Error("no room");
    }
    override async raiseSession(...args: readonly unknown[]): Promise<void> {
      asked.push(`raise ${args[0]}`);
    }
  }
  const lost = await makeAgain(new Noting(), request(), [adopted(1), adopted(2, { raised: false })]);
  expect(asked).toEqual(["tunnel", "session 1", "raise 1", "session 2"]);
  expect([...lost]).toEqual([[2, "no room"]]);
});
