import { writeFileSync } from "node:fs";
import type { Endpoint } from "../../src/control/core.ts";

/** A control message that somebody has seen over IPv4: over UDP, or with ports 0 directly. */
export interface SeenDatagram {
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly octets: Uint8Array;
}

/** LINKTYPE_RAW: packets begin with the IP header. */
const RAW_IP = 101;
const IP_HEADER_LENGTH = 20;
const UDP_HEADER_LENGTH = 8;
const UDP = 17;
/** RFC 3931 4.1.1. */
const L2TP = 115;

/** Writes datagrams as a capture file, so that an independent decoder can judge them; a millisecond apart. */
export function writePcap(file: string, datagrams: readonly SeenDatagram[]): void {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(0xffff, 16);
  header.writeUInt32LE(RAW_IP, 20);
  writeFileSync(file, Buffer.concat([header, ...datagrams.flatMap(record)]));
}

function record(datagram: SeenDatagram, index: number): readonly Buffer[] {
  const packet = packetOf(datagram);
  const head = Buffer.alloc(16);
  head.writeUInt32LE(Math.floor(index / 1000), 0);
  head.writeUInt32LE((index % 1000) * 1000, 4);
  head.writeUInt32LE(packet.length, 8);
  head.writeUInt32LE(packet.length, 12);
  return [head, packet];
}

/** Checksums are left 0: there is none over IPv4's UDP then, and decoders do not check that of IP. */
function packetOf({ from, to, octets }: SeenDatagram): Buffer {
  const overIp = from.port === 0;
  const payload = overIp ? overIpOf(octets) : overUdpOf(from.port, to.port, octets);
  const header = Buffer.alloc(IP_HEADER_LENGTH);
  header[0] = 0x45;
  header.writeUInt16BE(header.length + payload.length, 2);
  header[8] = 64;
  header[9] = overIp ? L2TP : UDP;
  header.set(from.address.split(".").map(Number), 12);
  header.set(to.address.split(".").map(Number), 16);
  return Buffer.concat([header, payload]);
}

/** Behind a Session ID of 0 (RFC 3931 4.1.1.2). */
function overIpOf(octets: Uint8Array): Buffer {
  return Buffer.concat([Buffer.alloc(4), octets]);
}

function overUdpOf(from: number, to: number, octets: Uint8Array): Buffer {
  const header = Buffer.alloc(UDP_HEADER_LENGTH);
  header.writeUInt16BE(from, 0);
  header.writeUInt16BE(to, 2);
  header.writeUInt16BE(header.length + octets.length, 4);
  return Buffer.concat([header, octets]);
}
