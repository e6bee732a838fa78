import { mkdtempSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { KeptSockets, passedDescriptors } from "../../../src/daemon/kept-sockets.ts";
import { NotifySocket } from "../../../src/daemon/notify-socket.ts";
import * as libc from "../../../src/kernel/libc.ts";
import { StandInManager } from "../../support/stand-in-manager.ts";

const PID = 77;

describe("descriptors that were passed", () => {
  test("have their names", () => {
    const environment = { LISTEN_PID: "77", LISTEN_FDS: "3", LISTEN_FDNAMES: "connection-1:listener-0.0.0.0%3A1701" };
    expect(passedDescriptors(environment, PID)).toEqual([
      { name: "connection-1", fd: 3 },
      { name: "listener-0.0.0.0%3A1701", fd: 4 },
      { name: "", fd: 5 },
    ]);
  });

  test.each([
    ["nobody says so", {}],
    ["they are another process's", { LISTEN_PID: "76", LISTEN_FDS: "1" }],
    ["their number is none", { LISTEN_PID: "77", LISTEN_FDS: "-1" }],
  ])("are none where %s", (_, environment) => {
    expect(passedDescriptors(environment, PID)).toEqual([]);
  });
});

describe("a service manager that keeps sockets", () => {
  let folder: string;
  let manager: StandInManager;
  let sockets: KeptSockets;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "l2tpv3-lcc-kept-"));
    manager = new StandInManager(folder);
    const notify = NotifySocket.open(manager.name, { write: () => {} });
    if (notify === undefined) throw new Error("no socket");
    sockets = new KeptSockets(notify, {}, process.pid);
  });
  afterEach(() => {
    manager.close();
    rmSync(folder, { recursive: true });
  });

  const inodeOf = (fd: number | undefined) => readlinkSync(`/proc/self/fd/${fd}`);

  test("has a descriptor of its own for the same socket, until it is told to let go", async () => {
    const fd = libc.socket(libc.AF_INET, libc.SOCK_DGRAM, 0);
    const inode = inodeOf(fd);
    sockets.keep("connection-1", fd);
    libc.close(fd);
    await sockets.settled();
    manager.read();
    expect(inodeOf(manager.kept.get("connection-1")?.[0])).toBe(inode);
    sockets.release("connection-1");
    await sockets.settled();
    manager.read();
    expect([...manager.kept]).toEqual([]);
  });

  test("gets every one of them in order, however busy it is", async () => {
    const names = Array.from({ length: 400 }, (_, i) => `connection-${i}`);
    for (const name of names) {
      const fd = libc.socket(libc.AF_INET, libc.SOCK_DGRAM, 0);
      sockets.keep(name, fd);
      libc.close(fd);
    }
    for (const name of names.slice(10)) sockets.release(name);
    await sockets.settled();
    manager.read();
    expect([...manager.kept.keys()]).toEqual(names.slice(0, 10));
  });

  test("has nothing to be taken where it passed nothing", async () => {
    expect(sockets.inherited).toBe(false);
    expect(sockets.take("connection-1")).toBeUndefined();
    await sockets.discard();
    manager.read();
    expect(manager.heard).toEqual([]);
  });
});
