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
let fd: number;

beforeEach(() => {
  kernel = new FakeKernel();
  posts = [];
  events = undefined;
  fd = openConnectionSocket({ local: { address: "127.0.0.1", port: 0 } });
  datapath = new KernelDatapath((hear) => {
    events = hear;
    let completions: Completion[] = [];
    const queue = new OperationQueue({
      calls: kernel,
      now: () => kernel.clock,
      complete: (completion) => completions.push(completion),
      closeDescriptor: libc.close,
    });
    const work = () => {
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
  fd: socket,
  onControlDatagram: () => {},
});

test("a tunnel, a session, its counters, and the end", async () => {
  await datapath.createTunnel(tunnel(7, fd));
  await datapath.createSession(session(1));
  await datapath.raiseSession(1);
  expect(kernel.devices.get("l2-1")?.up).toBe(true);
  expect((await datapath.counters()).map((counters) => counters.localSessionId)).toEqual([1]);
  expect(await datapath.counters(8)).toEqual([]);
  await datapath.deleteSession(1);
  await datapath.deleteTunnel(7);
  await datapath.close();
  expect(kernel.log).toEqual([
    "TUNNEL_CREATE 7",
    "SESSION_CREATE 1",
    "SETLINK l2-1 up true",
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

test("when the thread dies everything that is open and everything later is rejected", async () => {
  const open = datapath.createTunnel(tunnel(7, fd));
  events?.failed(new Error("out of memory"));
  events?.ended();
  await expect(open).rejects.toMatchObject({ errno: "EIO", message: expect.stringContaining("out of memory") });
  await expect(datapath.createSession(session(1))).rejects.toThrow(KernelError);
  await datapath.close();
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
