import { writeFileSync } from "node:fs";
import type { Endpoint } from "../../src/control/core.ts";

/** A UDP datagram over IPv4 that somebody has seen. */
export interface SeenDatagram {
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly octets: Uint8Array;
}

/** LINKTYPE_RAW: packets begin with the IP header. */
const RAW_IP = 101;
const IP_HEADER_LENGTH = 20;
const UDP_HEADER_LENGTH = 8;

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
  const length = UDP_HEADER_LENGTH + octets.length;
  const packet = Buffer.alloc(IP_HEADER_LENGTH + length);
  packet[0] = 0x45;
  packet.writeUInt16BE(packet.length, 2);
  packet[8] = 64;
  packet[9] = 17;
  packet.set(from.address.split(".").map(Number), 12);
  packet.set(to.address.split(".").map(Number), 16);
  packet.writeUInt16BE(from.port, 20);
  packet.writeUInt16BE(to.port, 22);
  packet.writeUInt16BE(length, 24);
  packet.set(octets, IP_HEADER_LENGTH + UDP_HEADER_LENGTH);
  return packet;
}
