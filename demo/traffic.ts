/**
 * Traffic for a pseudowire, since neither ping nor iperf3 may be at hand. Run inside a network namespace:
 *
 *     traffic.js ping ADDRESS COUNT        ICMP echo, one line for each reply
 *     traffic.js serve ADDRESS PORT        receives one TCP connection, answers with the number of octets received
 *     traffic.js send ADDRESS PORT SECONDS sends over TCP for that long and waits for the answer
 *
 * The last line of the output is the result as JSON; the exit code is 0 if every echo, or octet, came through.
 */
import { createConnection, createServer, type Socket } from "node:net";
import { performance } from "node:perf_hooks";
import * as libc from "../src/kernel/libc.ts";
import { encodeSocketAddress } from "../src/kernel/socket-address.ts";

export interface PingResult {
  readonly sent: number;
  readonly received: number;
  /** Milliseconds; 0 if nothing was received. */
  readonly averageMs: number;
}

export interface TransferResult {
  readonly octetsSent: number;
  readonly octetsReceived: number;
  readonly seconds: number;
}

const IPPROTO_ICMP = 1;
const ECHO_REQUEST = 8;
const ECHO_REPLY = 0;
const REPLY_TIMEOUT_MS = 1_000;
const INTERVAL_MS = 100;

/** Through an ICMP datagram socket: the kernel fills in identifier and checksum, and delivers our replies alone. */
async function ping(address: string, count: number): Promise<PingResult> {
  const fd = libc.socket(libc.AF_INET, libc.SOCK_DGRAM | libc.SOCK_NONBLOCK, IPPROTO_ICMP);
  const times: number[] = [];
  for (let sequence = 1; sequence <= count; sequence += 1) {
    const elapsedMs = echo(fd, address, sequence);
    if (elapsedMs !== undefined) times.push(elapsedMs);
    const text = elapsedMs === undefined ? "no reply" : `reply after ${elapsedMs.toFixed(2)} ms`;
    console.log(`${address}: echo ${sequence}: ${text}`);
    await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
  }
  libc.close(fd);
  const averageMs = times.length === 0 ? 0 : times.reduce((sum, time) => sum + time, 0) / times.length;
  return { sent: count, received: times.length, averageMs };
}

function echo(fd: number, address: string, sequence: number): number | undefined {
  const request = Buffer.alloc(64);
  request.writeUInt8(ECHO_REQUEST, 0);
  request.writeUInt16BE(sequence, 6);
  const start = performance.now();
  if (libc.sendto(fd, request, request.length, 0, encodeSocketAddress({ address, port: 0 })) < 0) return undefined;
  const reply = Buffer.alloc(128);
  for (;;) {
    const remainingMs = Math.ceil(start + REPLY_TIMEOUT_MS - performance.now());
    if (remainingMs <= 0 || !readable(fd, remainingMs)) return undefined;
    const length = libc.recv(fd, reply, reply.length, 0);
    // A reply that comes late belongs to an earlier request.
    if (length >= 8 && reply.readUInt8(0) === ECHO_REPLY && reply.readUInt16BE(6) === sequence) {
      return performance.now() - start;
    }
  }
}

function readable(fd: number, timeoutMs: number): boolean {
  const descriptor = Buffer.alloc(8);
  descriptor.writeInt32LE(fd, 0);
  descriptor.writeInt16LE(libc.POLLIN, 4);
  return libc.poll(descriptor, 1, timeoutMs) > 0;
}

function serve(address: string, port: number): Promise<TransferResult> {
  return new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      server.close();
      receive(socket).then(resolve, reject);
    });
    server.on("error", reject);
    server.listen(port, address, () => console.log("listening"));
  });
}

function receive(socket: Socket): Promise<TransferResult> {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    let octets = 0;
    socket.on("error", reject);
    socket.on("data", (chunk: Buffer) => {
      octets += chunk.length;
    });
    socket.on("end", () => {
      const seconds = (performance.now() - start) / 1000;
      socket.end(String(octets), () => resolve({ octetsSent: octets, octetsReceived: octets, seconds }));
    });
  });
}

function send(address: string, port: number, forMs: number): Promise<TransferResult> {
  return new Promise((resolve, reject) => {
    const chunk = Buffer.alloc(65_536, "pseudowire");
    const socket = createConnection({ host: address, port, allowHalfOpen: true });
    let [start, octetsSent, answer] = [0, 0, ""];
    const pump = () => {
      while (performance.now() - start < forMs) {
        octetsSent += chunk.length;
        if (!socket.write(chunk)) return;
      }
      socket.end();
    };
    socket.on("error", reject);
    socket.on("connect", () => {
      start = performance.now();
      pump();
    });
    socket.on("drain", pump);
    socket.on("data", (text: Buffer) => {
      answer += text.toString();
    });
    socket.on("end", () => {
      resolve({ octetsSent, octetsReceived: Number(answer), seconds: (performance.now() - start) / 1000 });
    });
  });
}

async function main([command, address = "", ...rest]: readonly string[]): Promise<boolean> {
  const [first = 0, second = 0] = rest.map(Number);
  if (command === "ping") {
    const result = await ping(address, first);
    console.log(JSON.stringify(result));
    return result.received === result.sent;
  }
  if (command !== "serve" && command !== "send") throw new Error(`unknown command ${command}`);
  const result = await (command === "serve" ? serve(address, first) : send(address, first, second * 1000));
  console.log(JSON.stringify(result));
  return result.octetsReceived === result.octetsSent;
}

process.exitCode = (await main(process.argv.slice(2))) ? 0 : 1;
