import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { afterEach, expect, test } from "vitest";
import { KernelError } from "../../../src/kernel/kernel-error.ts";
import * as libc from "../../../src/kernel/libc.ts";
import {
  connectSocket,
  decodeSocketAddress,
  encodeSocketAddress,
  localAddress,
  openConnectionSocket,
  openListener,
  pathMtu,
} from "../../../src/kernel/sockets.ts";

const LOOPBACK = { address: "127.0.0.1", port: 0 };
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanups.splice(0).reverse()) await cleanUp();
});

async function adopt(fd: number): Promise<{ socket: Socket; received: string[] }> {
  const socket = createSocket("udp4");
  const received: string[] = [];
  socket.on("message", (octets) => received.push(octets.toString()));
  const listening = once(socket, "listening");
  socket.bind({ fd });
  await listening;
  cleanups.push(() => new Promise<void>((resolve) => socket.close(() => resolve())));
  return { socket, received };
}

function raw(fd: number): number {
  cleanups.push(() => libc.close(fd));
  return fd;
}

function refusal(action: () => unknown): KernelError {
  try {
    action();
  } catch (error) {
    if (error instanceof KernelError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

test("a socket address is sockaddr_in: family in host order, port and address in network order", () => {
  const octets = encodeSocketAddress({ address: "192.0.2.1", port: 1701 });
  expect(octets.toString("hex")).toBe("020006a5c00002010000000000000000");
  expect(decodeSocketAddress(octets)).toEqual({ address: "192.0.2.1", port: 1701 });
  expect(refusal(() => encodeSocketAddress({ address: "pe2.example.net", port: 1 })).message).toContain("pe2.example");
});

test("a connected socket gets its peer's datagrams and the listener all others, on one port", async () => {
  const listener = await adopt(openListener(LOOPBACK));
  const shared = listener.socket.address();
  const peer = await adopt(openConnectionSocket({ local: LOOPBACK }));
  const stranger = await adopt(openConnectionSocket({ local: LOOPBACK }));
  const fd = openConnectionSocket({ local: shared });
  const connection = await adopt(fd);
  connectSocket(fd, peer.socket.address());
  expect(localAddress(fd)).toEqual({ address: "127.0.0.1", port: shared.port });
  expect(pathMtu(fd)).toBe(65_535);

  for (let i = 0; i < 3; i++) {
    peer.socket.send(`peer ${i}`, shared.port, shared.address);
    stranger.socket.send(`stranger ${i}`, shared.port, shared.address);
  }
  await expect.poll(() => connection.received.length + listener.received.length).toBe(6);
  expect(connection.received).toEqual(["peer 0", "peer 1", "peer 2"]);
  expect(listener.received).toEqual(["stranger 0", "stranger 1", "stranger 2"]);

  connection.socket.send("answer", peer.socket.address().port, "127.0.0.1");
  await expect.poll(() => peer.received).toEqual(["answer"]);
});

test("an adopted socket can be connected later, and to another peer", async () => {
  const listener = await adopt(openListener(LOOPBACK));
  const shared = listener.socket.address();
  const [first, second] = [
    await adopt(openConnectionSocket({ local: LOOPBACK })),
    await adopt(openConnectionSocket({ local: LOOPBACK })),
  ];
  const fd = openConnectionSocket({ local: shared });
  const connection = await adopt(fd);
  connectSocket(fd, first.socket.address());
  connectSocket(fd, second.socket.address());
  first.socket.send("first", shared.port, shared.address);
  second.socket.send("second", shared.port, shared.address);
  await expect.poll(() => [connection.received, listener.received]).toEqual([["second"], ["first"]]);
});

test("a second listener on a port is refused with both address and port named", () => {
  const fd = raw(openListener(LOOPBACK));
  const { port } = localAddress(fd);
  const error = refusal(() => openListener({ address: "127.0.0.1", port }));
  expect(error).toMatchObject({ errno: "EADDRINUSE", command: "bind" });
  expect(error.message).toContain(`127.0.0.1:${port}`);
});

test("an address that is not ours is refused with a sentence", () => {
  const error = refusal(() => openListener({ address: "192.0.2.1", port: 0 }));
  expect(error.errno).toBe("EADDRNOTAVAIL");
  expect(error.message).toBe("cannot bind to UDP 192.0.2.1:0: this machine has no such address (EADDRNOTAVAIL)");
});

test("hints are those of the command: a broadcast address has nothing to do with low ports", () => {
  const fd = raw(openConnectionSocket({ local: LOOPBACK }));
  const error = refusal(() => connectSocket(fd, { address: "255.255.255.255", port: 1701 }));
  expect(error).toMatchObject({ errno: "EACCES", command: "connect" });
  expect(error.message).not.toContain("CAP_NET_BIND_SERVICE");
  expect(error.message).toContain("broadcast");
});

test("a socket that could not be opened leaves no descriptor behind", () => {
  const before = raw(openConnectionSocket({ local: LOOPBACK }));
  for (let i = 0; i < 5; i++) refusal(() => openListener({ address: "192.0.2.1", port: 0 }));
  expect(raw(openConnectionSocket({ local: LOOPBACK }))).toBeLessThanOrEqual(before + 1);
});

test("descriptors are closed on exec", () => {
  const fd = raw(openListener(LOOPBACK));
  const copy = raw(libc.dup(fd));
  for (const each of [fd, copy, raw(libc.eventfd(0, 0))]) {
    const flags = /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${each}`, "utf8"))?.[1] ?? "";
    expect(Number.parseInt(flags, 8) & libc.SOCK_CLOEXEC).toBe(libc.SOCK_CLOEXEC);
  }
});
