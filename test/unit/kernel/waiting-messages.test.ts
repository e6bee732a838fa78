import { constants } from "node:os";
import { afterEach, beforeEach, expect, test } from "vitest";
import { MOST_UNHANDLED, newBacklog } from "../../../src/kernel/control-inbox.ts";
import { SOL_UDP, UDP_GRO } from "../../../src/kernel/datagram-batch.ts";
import { Forwarder } from "../../../src/kernel/forwarder.ts";
import * as libc from "../../../src/kernel/libc.ts";
import { connectSocket, localAddress, openConnectionSocket } from "../../../src/kernel/sockets.ts";
import { waitingControlMessages } from "../../../src/kernel/waiting-messages.ts";

const UDP_SEGMENT = 103;
const LOCAL = { address: "127.0.0.1", port: 0 };
let sender: number;
let receiver: number;

beforeEach(() => {
  [sender, receiver] = [openConnectionSocket({ local: LOCAL }), openConnectionSocket({ local: LOCAL })];
  connectSocket(sender, localAddress(receiver));
  connectSocket(receiver, localAddress(sender));
});

afterEach(() => {
  libc.close(sender);
  libc.close(receiver);
});

/** A control message of 20 octets that says so. */
const message = (content: number) =>
  Buffer.concat([Buffer.from("c8030014000000010000", "hex"), Buffer.alloc(10, content)]);
const DATA = Buffer.concat([Buffer.from("0003000000000001", "hex"), Buffer.alloc(12)]);

function send(octets: Uint8Array): void {
  expect(libc.send(sender, octets, octets.length, 0)).toBe(octets.length);
}

/** Over loopback the datagrams of one run arrive in one piece where the socket has UDP_GRO. */
function sendRun(...messages: readonly Buffer[]): void {
  libc.setsockopt(sender, SOL_UDP, UDP_SEGMENT, 20);
  send(Buffer.concat(messages));
  libc.setsockopt(sender, SOL_UDP, UDP_SEGMENT, 0);
}

const contents = (messages: readonly Uint8Array[]) => messages.map((octets) => [octets.length, octets[19]]);

function receive(): number {
  return libc.recv(receiver, Buffer.alloc(65_536), 65_536, libc.MSG_DONTWAIT);
}

test("without care a read takes several datagrams for one", () => {
  libc.setsockopt(receiver, SOL_UDP, UDP_GRO, 1);
  sendRun(message(1), message(2), message(3));
  expect(receive()).toBe(60);
});

test("merged datagrams come apart, data is dropped, and from then on nothing is merged", () => {
  libc.setsockopt(receiver, SOL_UDP, UDP_GRO, 1);
  send(message(1));
  sendRun(message(2), DATA, message(3));
  send(message(4));
  const expected = [1, 2, 3, 4].map((content) => [20, content]);
  expect(contents(waitingControlMessages(receiver, 100))).toEqual(expected);
  sendRun(message(5), message(6));
  expect([receive(), receive(), receive()]).toEqual([20, 20, -constants.errno.EAGAIN]);
});

test("what was merged before UDP_GRO went off comes apart too", () => {
  libc.setsockopt(receiver, SOL_UDP, UDP_GRO, 1);
  sendRun(message(1), message(2), message(3));
  libc.setsockopt(receiver, SOL_UDP, UDP_GRO, 0);
  expect(contents(waitingControlMessages(receiver, 10))).toEqual([1, 2, 3].map((content) => [20, content]));
});

test("no more than asked for is taken", () => {
  for (let i = 0; i < 20; i++) send(message(i));
  expect(waitingControlMessages(receiver, 8).length).toBe(8);
  expect(waitingControlMessages(receiver, 100).length).toBe(12);
});

test("the forwarder hands over so many control datagrams as are admitted, and discards the rest", () => {
  const taken: number[] = [];
  const forwarder = new Forwarder({ controlDatagram: (_, octets) => taken.push(octets.length), deviceLost: () => {} });
  const backlog = newBacklog();
  forwarder.addTunnel(7, receiver, backlog);
  const flood = MOST_UNHANDLED + 44;
  for (let sent = 0; sent < flood; sent += 50) {
    for (let i = sent; i < Math.min(sent + 50, flood); i++) send(message(i & 0xff));
    for (let turns = 0; turns < 10; turns++) forwarder.turn(0);
  }
  expect([taken.length, forwarder.discarded(7)]).toEqual([MOST_UNHANDLED, 44]);
  Atomics.sub(backlog, 0, 2);
  for (let i = 0; i < 3; i++) send(message(i));
  forwarder.turn(0);
  expect([taken.length, forwarder.discarded(7)]).toEqual([MOST_UNHANDLED + 2, 45]);
  forwarder.close();
});
