/**
 * Watches L2TP control messages pass, through a packet socket. Run inside a network namespace; prints one `WireMessage`
 * as a line of JSON for each message, until it is killed.
 */
import { decodeMessage } from "../src/avp/decode.ts";
import { describeMessage } from "../src/avp/describe.ts";
import * as libc from "../src/kernel/libc.ts";

export interface WireMessage {
  /** IPv4 addresses. */
  readonly from: string;
  readonly to: string;
  /** The message's name in the RFC, "ZLB", or why it is none. */
  readonly name: string;
  readonly ns: number;
  readonly nr: number;
}

const AF_PACKET = 17;
const SO_ATTACH_FILTER = 26;
/** ETH_P_ALL in network octet order, as packet(7) wants it: no other protocol sees what this end sends. */
const EVERY_PROTOCOL = 0x0300;
const UDP_HEADER_LENGTH = 8;

/**
 * A classic BPF program (code, jump if true, jump if false, constant) over an IP packet, so that the frames of the
 * pseudowire never come up to here: UDP from or to port 1701 with the T bit set.
 */
const FILTER: readonly (readonly [code: number, jt: number, jf: number, k: number])[] = [
  [0x28, 0, 0, 0xffff_f000], // the packet's EtherType (SKF_AD_PROTOCOL)
  [0x15, 0, 10, 0x0800],
  [0x30, 0, 0, 9], // protocol
  [0x15, 0, 8, 17],
  [0xb1, 0, 0, 0], // x = length of the IP header
  [0x48, 0, 0, 0], // source port
  [0x15, 2, 0, 1701],
  [0x48, 0, 0, 2], // destination port
  [0x15, 0, 3, 1701],
  [0x50, 0, 0, 8], // first octet of the payload
  [0x45, 0, 1, 0x80],
  [0x06, 0, 0, 0xffff_ffff], // all of it
  [0x06, 0, 0, 0], // nothing
];

function openPacketSocket(): number {
  const fd = libc.socket(AF_PACKET, libc.SOCK_DGRAM, EVERY_PROTOCOL);
  const program = Buffer.alloc(FILTER.length * 8);
  for (const [index, [code, jt, jf, k]] of FILTER.entries()) {
    program.writeUInt16LE(code, index * 8);
    program.writeUInt8(jt, index * 8 + 2);
    program.writeUInt8(jf, index * 8 + 3);
    program.writeUInt32LE(k, index * 8 + 4);
  }
  // struct sock_fprog: the number of instructions, and where they are.
  const reference = Buffer.alloc(16);
  reference.writeUInt16LE(FILTER.length, 0);
  reference.writeBigUInt64LE(libc.addressOf(program), 8);
  libc.setsockopt(fd, libc.SOL_SOCKET, SO_ATTACH_FILTER, reference);
  return fd;
}

function describe(packet: Buffer): WireMessage {
  const ipHeaderLength = (packet.readUInt8(0) & 0x0f) * 4;
  const octets = packet.subarray(ipHeaderLength + UDP_HEADER_LENGTH);
  const [from, to] = [packet.subarray(12, 16).join("."), packet.subarray(16, 20).join(".")];
  try {
    const decoded = decodeMessage(octets);
    return { from, to, name: describeMessage(decoded), ns: decoded.header.ns, nr: decoded.header.nr };
  } catch (error) {
    return { from, to, name: error instanceof Error ? error.message : String(error), ns: 0, nr: 0 };
  }
}

const fd = openPacketSocket();
const buffer = Buffer.alloc(65_536);
console.log("watching");
for (;;) {
  const length = libc.recv(fd, buffer, buffer.length, 0);
  if (length > 0) console.log(JSON.stringify(describe(buffer.subarray(0, length))));
}
