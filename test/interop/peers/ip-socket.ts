import * as libc from "../../../src/kernel/libc.ts";
import { decodeSocketAddress, encodeSocketAddress } from "../../../src/kernel/socket-address.ts";
import type { Listener, PeerSocket } from "./peer-socket.ts";

/** node:dgram takes no raw socket, so it is looked into so often. */
const POLL_MS = 5;
const LONGEST_PACKET = 65_535;
/** RFC 3931 4.1.1.2: a Session ID of 0 stands before a control message. */
const SESSION_ID_LENGTH = 4;
const ZERO = Buffer.alloc(SESSION_ID_LENGTH);

/** L2TP over IPv4, protocol 115 (RFC 3931 4.1.1), by a raw socket: the kernel's L2TP has no part in it. Needs root. */
export function ipSocket(address: string): PeerSocket {
  const fd = libc.socket(libc.AF_INET, libc.SOCK_RAW, libc.IPPROTO_L2TP);
  libc.bind(fd, encodeSocketAddress({ address, port: 0 }));
  let timer: NodeJS.Timeout | undefined;
  const send = (packet: Buffer, to: string) => {
    const sent = libc.sendto(fd, packet, packet.length, 0, encodeSocketAddress({ address: to, port: 0 }));
    if (sent !== packet.length) throw new Error(`sendto ${to}: ${sent}`);
  };
  return {
    endpoint: { address, port: 0 },
    listen: (listener) => {
      timer = setInterval(() => readAll(fd, listener), POLL_MS);
    },
    sendControl: (octets, to) => send(Buffer.concat([ZERO, octets]), to.address),
    sendData: (packet, to) => send(Buffer.from(packet), to.address),
    close: () => {
      clearInterval(timer);
      libc.close(fd);
    },
  };
}

const packet = Buffer.alloc(LONGEST_PACKET);
const sender = Buffer.alloc(16);

function readAll(fd: number, { control, data }: Listener): void {
  for (;;) {
    const length = libc.recvfrom(fd, packet, packet.length, libc.MSG_DONTWAIT, sender);
    if (length < 0) return;
    const { address } = decodeSocketAddress(sender);
    // It begins with the IP header.
    const payload = Uint8Array.from(packet.subarray(((packet[0] ?? 0) & 15) * 4, length));
    const isControl = payload.subarray(0, SESSION_ID_LENGTH).every((octet) => octet === 0);
    if (isControl) control(payload.slice(SESSION_ID_LENGTH), { address, port: 0 });
    else data(payload);
  }
}
