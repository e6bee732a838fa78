import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Endpoint } from "../../src/control/core.ts";
import { Transport } from "../../src/daemon/transport.ts";

/** A HELLO-shaped header: T, L, S and Ver 3; `ns` tells one from another. */
function control(ns: number): Buffer {
  return Buffer.from([0xc8, 3, 0, 12, 0, 0, 0, 1, 0, ns, 0, 0]);
}

const HOST = "127.0.0.1";
let peer: Socket;
let remote: Endpoint;
let transport: Transport;
let received: { readonly ns: number; readonly from: Endpoint }[];

beforeEach(async () => {
  received = [];
  const receive = (octets: Uint8Array, from: Endpoint) => received.push({ ns: octets[9] ?? -1, from });
  transport = new Transport(receive, () => undefined);
  peer = createSocket("udp4");
  peer.bind(0, HOST);
  await once(peer, "listening");
  remote = { address: HOST, port: peer.address().port };
});

afterEach(() => {
  transport.closeAll();
  peer.close();
});

/** The datagram is in the receiver's queue when this resolves: loopback delivers within the call. */
function sendToConnection(octets: Buffer, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    peer.send(octets, port, HOST, (error) => (error === null ? resolve() : reject(error)));
  });
}

async function portOfConnection(id: number): Promise<number> {
  transport.send(id, remote, control(0));
  const [, { port }] = (await once(peer, "message")) as [Buffer, { port: number }];
  return port;
}

test("what waits in a socket that is closed is still received: it may be for a successor", async () => {
  transport.open(1, { encapsulation: "udp", local: { address: HOST, port: 0 }, remote });
  const port = await portOfConnection(1);
  // Nobody reads: as with a datapath that has not got to it.
  transport.handOver(1);
  for (const ns of [1, 2, 3]) await sendToConnection(control(ns), port);
  transport.close(1);
  expect(received).toEqual([1, 2, 3].map((ns) => ({ ns, from: remote })));
});

test("data packets, version 2 with ids and noise are not control messages", async () => {
  transport.open(1, { encapsulation: "udp", local: { address: HOST, port: 0 }, remote });
  const port = await portOfConnection(1);
  const version2 = [0xc8, 2, 0, 12, 0, 1, 0, 0, 0, 8, 0, 0];
  const others = [[0, 3, 0, 0], [0xc8, 2, 0, 12], version2, [0x80], []];
  for (const octets of others) await sendToConnection(Buffer.from(octets), port);
  await sendToConnection(control(7), port);
  while (received.length === 0) await new Promise((resolve) => setImmediate(resolve));
  expect(received).toEqual([{ ns: 7, from: remote }]);
});

test("G07 version 2 without ids is let in, by a connection's socket and by a listener: it may be a dual SCCRQ", async () => {
  const sccrq = Buffer.from([0xc8, 2, 0, 12, 0, 0, 0, 0, 0, 5, 0, 0]);
  transport.open(1, { encapsulation: "udp", local: { address: HOST, port: 0 }, remote });
  await sendToConnection(sccrq, await portOfConnection(1));
  const probe = createSocket("udp4").bind(0, HOST);
  await once(probe, "listening");
  const { port } = probe.address();
  await new Promise<void>((resolve) => probe.close(() => resolve()));
  transport.listen({ address: HOST, port });
  await sendToConnection(sccrq, port);
  while (received.length < 2) await new Promise((resolve) => setImmediate(resolve));
  expect(received).toEqual([
    { ns: 5, from: remote },
    { ns: 5, from: remote },
  ]);
});

test("an unreachable peer costs an error, not the datagram after it", async () => {
  transport.open(1, { encapsulation: "udp", local: { address: HOST, port: 0 }, remote });
  const port = await portOfConnection(1);
  peer.close();
  transport.send(1, remote, control(1));
  peer = createSocket("udp4");
  peer.bind(remote.port, HOST);
  await once(peer, "listening");
  transport.send(1, remote, control(2));
  const [octets, from] = (await once(peer, "message")) as [Buffer, { port: number }];
  expect([octets[9], from.port]).toEqual([2, port]);
});

test("a socket that cannot be connected is closed, and its error names the address", () => {
  const nowhere = { address: "255.255.255.255", port: 1701 };
  expect(() => transport.open(1, { encapsulation: "udp", local: { address: HOST, port: 0 }, remote: nowhere })).toThrow(
    "255.255.255.255:1701",
  );
  expect(transport.descriptor(1)).toBeUndefined();
});

test("a stranger's datagram that came before the socket was connected is not taken for the peer's", async () => {
  transport.open(1, { encapsulation: "udp", local: { address: HOST, port: 0 }, remote: undefined });
  const port = await portOfConnection(1);
  const stranger = createSocket("udp4");
  stranger.bind(0, HOST);
  await once(stranger, "listening");
  await new Promise<void>((resolve) => stranger.send(control(9), port, HOST, () => resolve()));
  transport.connect(1, remote);
  transport.handOver(1);
  expect(received).toEqual([{ ns: 9, from: { address: HOST, port: stranger.address().port } }]);
  stranger.close();
});
