import { fstatSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { KernelDatapath } from "../../../src/kernel/kernel-datapath.ts";
import { KernelError } from "../../../src/kernel/kernel-error.ts";
import type { KernelThreadEvents } from "../../../src/kernel/kernel-thread.ts";
import * as libc from "../../../src/kernel/libc.ts";
import { OperationQueue } from "../../../src/kernel/operation-queue.ts";
import type { Completion, Job } from "../../../src/kernel/operations.ts";
import { openConnectionSocket } from "../../../src/kernel/sockets.ts";
import { FakeKernel, session } from "./fake-kernel.ts";

let kernel: FakeKernel;
let datapath: KernelDatapath;
/** What crossed to the thread together. */
let posts: (readonly Job[])[];
let events: KernelThreadEvents | undefined;
let lost: string[];
let responds: boolean;
let fd: number;

beforeEach(() => {
  kernel = new FakeKernel();
  posts = [];
  events = undefined;
  lost = [];
  responds = true;
  fd = openConnectionSocket({ local: { address: "127.0.0.1", port: 0 } });
  const heard = {
    sessionLost: (id: number) => lost.push(`session ${id}`),
    tunnelLost: (id: number, reason: string) => lost.push(`tunnel ${id}: ${reason}`),
    portChanged: (name: string, condition: string) => lost.push(`${name} is ${condition}`),
    noticed: ({ message }: { message: string }) => lost.push(message),
  };
  datapath = new KernelDatapath(heard, (hear) => {
    events = hear;
    let completions: Completion[] = [];
    const queue = new OperationQueue({
      calls: kernel,
      now: () => kernel.clock,
      complete: (completion) => completions.push(completion),
      closeDescriptor: libc.close,
    });
    const work = () => {
      if (events !== hear) return;
      const delay = queue.step();
      hear.completed(completions);
      completions = [];
      if (queue.closed) hear.ended();
      else if (delay !== undefined) setImmediate(work);
    };
    return {
      post(jobs) {
        posts.push(jobs);
        queue.push(jobs);
        setImmediate(work);
      },
      responds: () => responds,
    };
  });
});

afterEach(async () => {
  await datapath.close();
  libc.close(fd);
});

const tunnel = (localControlConnectionId: number, socket: number) => ({
  localControlConnectionId,
  remoteControlConnectionId: 1,
  encapsulation: "udp" as const,
  fd: socket,
  onControlDatagram: () => {},
});

test("a tunnel, a session, its counters, and the end", async () => {
  await datapath.createTunnel(tunnel(7, fd));
  await datapath.createSession(session(1));
  await datapath.raiseSession(1);
  expect(kernel.devices.get("l2-1")?.up).toBe(true);
  await datapath.lowerSession(1);
  expect(kernel.devices.get("l2-1")?.up).toBe(false);
  await expect(datapath.lowerSession(2)).rejects.toMatchObject({ name: "KernelError", errno: "ENODEV" });
  expect((await datapath.counters()).map((counters) => counters.localSessionId)).toEqual([1]);
  expect(await datapath.counters(8)).toEqual([]);
  await datapath.deleteSession(1);
  await datapath.deleteTunnel(7);
  await datapath.close();
  expect(kernel.log).toEqual([
    "TUNNEL_CREATE 7",
    "SESSION_CREATE 1",
    "SETLINK l2-1 up true",
    "SETLINK l2-1 up false",
    "SESSION_GET 1",
    "SESSION_DELETE 1",
    "TUNNEL_DELETE 7",
  ]);
});

test("what is asked in one turn of the event loop crosses together", async () => {
  await Promise.all([
    datapath.createTunnel(tunnel(7, fd)),
    ...[1, 2, 3].map((id) => datapath.createSession(session(id))),
  ]);
  expect(posts.map((jobs) => jobs.length)).toEqual([4]);
});

test("a refusal is a KernelError with error number, command and sentence", async () => {
  await datapath.createTunnel(tunnel(7, fd));
  kernel.addDevice("br0");
  const refused = datapath.createSession(session(1, { interfaceName: "br0" }));
  await expect(refused).rejects.toThrow(KernelError);
  await expect(refused).rejects.toMatchObject({
    errno: "EEXIST",
    command: "L2TP_CMD_SESSION_CREATE",
    extendedAck: "",
    message: expect.stringContaining("interface br0 exists already"),
  });
});

test("the thread gets a descriptor of its own, which is closed when the tunnel is made", async () => {
  const made = datapath.createTunnel(tunnel(7, fd));
  await new Promise((resolve) => setImmediate(resolve));
  const operation = posts[0]?.[0]?.operation;
  const duplicate = operation?.type === "create-tunnel" ? operation.fd : -1;
  expect(duplicate).not.toBe(fd);
  await made;
  expect(() => fstatSync(duplicate)).toThrow("EBADF");
  expect(fstatSync(fd).isSocket()).toBe(true);
});

test("a closed socket is refused before anything crosses", async () => {
  await expect(datapath.createTunnel(tunnel(7, 1_000_000))).rejects.toMatchObject({
    name: "KernelError",
    errno: "EBADF",
    command: "L2TP_CMD_TUNNEL_CREATE",
    message: expect.stringContaining("its socket is closed"),
  });
  expect(posts).toEqual([]);
});

test("when the thread dies what is open is rejected and its tunnels are lost; the next one clears up and goes on", async () => {
  await datapath.createTunnel(tunnel(7, fd));
  await datapath.createSession(session(1));
  kernel.slow = true;
  const open = datapath.createTunnel(tunnel(8, fd));
  events?.failed(new Error("out of memory"));
  events?.ended();
  await expect(open).rejects.toMatchObject({ errno: "EIO", message: expect.stringContaining("out of memory") });
  expect(lost).toEqual([expect.stringMatching(/^tunnel 7: .*out of memory/)]);

  const again = [
    datapath.createTunnel(tunnel(9, fd)),
    datapath.createSession(session(2, { localControlConnectionId: 9, interfaceName: "l2-1" })),
  ];
  await again[0];
  expect([...kernel.tunnels]).toEqual([9]);
  // The name that the dead thread's session had is not free at once.
  kernel.slow = false;
  kernel.finishLeaving();
  kernel.clock += 100;
  await again[1];
  expect([...kernel.sessions.keys()]).toEqual([2]);
  await datapath.deleteTunnel(7);
  expect(lost.length).toBe(1);
});

test("a tunnel that was being deleted is not told as lost, and close clears up what a dead thread left", async () => {
  await datapath.createTunnel(tunnel(7, fd));
  const deleted = datapath.deleteTunnel(7);
  events?.failed(new Error("out of memory"));
  await expect(deleted).rejects.toMatchObject({ errno: "EIO" });
  expect([lost, [...kernel.tunnels]]).toEqual([[], [7]]);
  await datapath.close();
  expect([...kernel.tunnels]).toEqual([]);
});

test("when the next thread dies before it has cleared up, the one after it does", async () => {
  await datapath.createTunnel(tunnel(7, fd));
  events?.failed(new Error("out of memory"));
  const second = datapath.createTunnel(tunnel(8, fd));
  events?.failed(new Error("out of memory again"));
  await expect(second).rejects.toMatchObject({ errno: "EIO" });
  await datapath.createTunnel(tunnel(9, fd));
  expect([...kernel.tunnels]).toEqual([9]);
  expect(lost.length).toBe(1);
});

test("a thread that dies while the datapath closes is no news", async () => {
  await datapath.createTunnel(tunnel(7, fd));
  const closed = datapath.close();
  events?.failed(new Error("out of memory"));
  events?.ended();
  await closed;
  expect(lost).toEqual([]);
  await expect(datapath.createTunnel(tunnel(8, fd))).rejects.toMatchObject({ errno: "ESHUTDOWN" });
});

test("no thread is started where nothing is made", async () => {
  expect(await datapath.counters()).toEqual([]);
  await datapath.close();
  expect(events).toBeUndefined();
});

test("after close nothing is accepted", async () => {
  await datapath.createTunnel(tunnel(7, fd));
  await datapath.close();
  await datapath.close();
  await expect(datapath.createSession(session(1))).rejects.toMatchObject({ errno: "ESHUTDOWN" });
  expect(kernel.tunnels.size).toBe(0);
});

test("it responds as its thread does; without one, and with one that has failed, there is nobody to wait for", async () => {
  responds = false;
  expect(datapath.responds()).toBe(true);
  await datapath.createTunnel(tunnel(7, fd));
  expect(datapath.responds()).toBe(false);
  responds = true;
  expect(datapath.responds()).toBe(true);
  responds = false;
  events?.failed(new Error("of old age"));
  expect(datapath.responds()).toBe(true);
});
