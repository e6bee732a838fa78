import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { afterEach, expect, test } from "vitest";
import { KernelError } from "../../../src/kernel/kernel-error.ts";
import * as libc from "../../../src/kernel/libc.ts";
import { decodeSocketAddress, encodeSocketAddress } from "../../../src/kernel/socket-address.ts";
import {
  connectSocket,
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

test("an IPv6 socket address has the link's number behind the address", () => {
  const octets = encodeSocketAddress({ address: "2001:db8::1", port: 1701 });
  expect(octets.toString("hex")).toBe(`0a0006a50000000020010db8000000000000000000000001${"00".repeat(8)}`);
  expect(decodeSocketAddress(octets)).toEqual({ address: "2001:db8::1", port: 1701 });
  const linkLocal = encodeSocketAddress({ address: "fe80::1%lo", port: 0 });
  expect(linkLocal.readUInt32LE(24)).toBe(1);
  expect(decodeSocketAddress(linkLocal)).toEqual({ address: "fe80::1%lo", port: 0 });
  expect(refusal(() => encodeSocketAddress({ address: "fe80::1%nowhere", port: 0 })).errno).toBe("ENODEV");
});

test("over IP the Control Connection ID stands in the socket address: sockaddr_l2tpip and sockaddr_l2tpip6", () => {
  const ip4 = encodeSocketAddress({ address: "192.0.2.1", port: 0 }, 0x01020304);
  expect(ip4.toString("hex")).toBe("02000000c00002010403020100000000");
  const ip6 = encodeSocketAddress({ address: "2001:db8::1", port: 0 }, 0xfffefdfc);
  expect([ip6.length, ip6.subarray(28).toString("hex")]).toEqual([32, "fcfdfeff"]);
});

test("IPv4 and IPv6 listeners share a port, and each gets what is its own", async () => {
  const fd4 = openListener({ address: "0.0.0.0", port: 0 });
  const { port } = localAddress(fd4);
  const listener4 = await adopt(fd4);
  const fd6 = raw(openListener({ address: "::", port }));
  expect(localAddress(fd6)).toEqual({ address: "::", port });
  const sender = raw(openConnectionSocket({ local: { address: "::1", port: 0 } }));
  connectSocket(sender, { address: "::1", port });
  expect(pathMtu(sender)).toBe(65_536);
  expect(libc.send(sender, Buffer.from("six"), 3, 0)).toBe(3);
  const [octets, from] = [Buffer.alloc(16), Buffer.alloc(32)];
  expect(libc.recvfrom(fd6, octets, octets.length, 0, from)).toBe(3);
  expect(decodeSocketAddress(from)).toEqual({ address: "::1", port: localAddress(sender).port });
  expect(listener4.received).toEqual([]);
});

test("a message of a socket over IP that the kernel has no module for is a sentence", () => {
  // Where it has, the address is not there.
  const error = refusal(() => openListener({ address: "192.0.2.1", port: 0 }, "ip"));
  expect(error.message).toMatch(/^cannot (open a socket for|bind to) IP protocol 115, 192\.0\.2\.1: /);
});
