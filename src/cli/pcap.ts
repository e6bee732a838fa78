import { closeSync, openSync, writeSync } from "node:fs";
import type { Endpoint } from "../control/core.ts";
import { familyOf } from "../control/endpoint.ts";

/** A control message as it was on the wire, without what the kernel puts around it. */
export interface CapturedMessage {
  /** Milliseconds of the epoch. */
  readonly atMs: number;
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly encapsulation: "udp" | "ip";
  readonly octets: Uint8Array;
}

/** Little-endian, with microseconds; version 2.4. */
const MAGIC = 0xa1b2c3d4;
const VERSION = [2, 4] as const;
/** LINKTYPE_RAW: packets begin with the header of IPv4 or IPv6. */
const RAW_IP = 101;
const LONGEST_PACKET = 0x40000;

const UDP = 17;
const L2TP = 115;
const HOPS = 64;
/** Over IP a control message stands behind a Session ID of 0 (RFC 3931 4.1.1.2). */
const NO_SESSION = new Uint8Array(4);

/** A new capture file that its owner alone can read; one that exists is refused. Throws the file system's errors. */
export class PcapFile {
  readonly #fd: number;

  constructor(path: string) {
    this.#fd = openSync(path, "wx", 0o600);
    const header = Buffer.alloc(24);
    header.writeUInt32LE(MAGIC, 0);
    header.writeUInt16LE(VERSION[0], 4);
    header.writeUInt16LE(VERSION[1], 6);
    header.writeUInt32LE(LONGEST_PACKET, 16);
    header.writeUInt32LE(RAW_IP, 20);
    writeSync(this.#fd, header);
  }

  /** At once: the file is whole whenever the program ends. */
  append(message: CapturedMessage): void {
    const packet = packetOf(message);
    const head = Buffer.alloc(16);
    head.writeUInt32LE(Math.floor(message.atMs / 1_000), 0);
    head.writeUInt32LE((message.atMs % 1_000) * 1_000, 4);
    head.writeUInt32LE(packet.length, 8);
    head.writeUInt32LE(packet.length, 12);
    writeSync(this.#fd, Buffer.concat([head, packet]));
  }

  close(): void {
    closeSync(this.#fd);
  }
}

function packetOf({ from, to, encapsulation, octets }: CapturedMessage): Uint8Array {
  const [source, destination] = [addressOctets(from.address), addressOctets(to.address)];
  const addresses = Buffer.concat([source, destination]);
  const protocol = encapsulation === "udp" ? UDP : L2TP;
  const payload =
    encapsulation === "udp" ? udpDatagram(from.port, to.port, addresses, octets) : Buffer.concat([NO_SESSION, octets]);
  const header = familyOf(from.address) === 4 ? ipv4Header : ipv6Header;
  return Buffer.concat([header(protocol, payload.length, addresses), payload]);
}

function ipv4Header(protocol: number, length: number, addresses: Uint8Array): Uint8Array {
  const header = Buffer.alloc(20);
  header[0] = 0x45;
  header.writeUInt16BE(header.length + length, 2);
  header[8] = HOPS;
  header[9] = protocol;
  header.set(addresses, 12);
  header.writeUInt16BE(checksum(header), 10);
  return header;
}

function ipv6Header(protocol: number, length: number, addresses: Uint8Array): Uint8Array {
  const header = Buffer.alloc(40);
  header[0] = 0x60;
  header.writeUInt16BE(length, 4);
  header[6] = protocol;
  header[7] = HOPS;
  header.set(addresses, 8);
  return header;
}

function udpDatagram(sourcePort: number, destinationPort: number, addresses: Uint8Array, octets: Uint8Array): Buffer {
  const datagram = Buffer.concat([Buffer.alloc(8), octets]);
  datagram.writeUInt16BE(sourcePort, 0);
  datagram.writeUInt16BE(destinationPort, 2);
  datagram.writeUInt16BE(datagram.length, 4);
  const pseudoHeader = Buffer.alloc(4);
  pseudoHeader[1] = UDP;
  pseudoHeader.writeUInt16BE(datagram.length, 2);
  // 0 would say that there is none.
  datagram.writeUInt16BE(checksum(Buffer.concat([addresses, pseudoHeader, datagram])) || 0xffff, 6);
  return datagram;
}

/** RFC 1071. */
function checksum(octets: Uint8Array): number {
  let sum = 0;
  for (let index = 0; index < octets.length; index += 2) sum += ((octets[index] ?? 0) << 8) | (octets[index + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** Of an address in its canonical form. */
function addressOctets(address: string): Uint8Array {
  if (familyOf(address) === 4) return Uint8Array.from(address.split("."), Number);
  const [numbers = ""] = address.split("%");
  const [before = "", after] = numbers.split("::");
  const [head, tail] = [before, after ?? ""].map((part) => (part === "" ? [] : part.split(":")));
  const zeros = new Array<string>(8 - (head?.length ?? 0) - (tail?.length ?? 0)).fill("0");
  const groups = [...(head ?? []), ...zeros, ...(tail ?? [])].map((group) => Number.parseInt(group, 16));
  return Uint8Array.from(groups.flatMap((group) => [group >>> 8, group & 0xff]));
}
