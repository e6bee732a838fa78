// Frames of the device "wire", or of the one that is named, in this namespace, a line of hexadecimal digits each, until standard input ends.
import { readFileSync } from "node:fs";
import * as libc from "../../../../dist/src/kernel/libc.js";

const AF_PACKET = 17;
const ETH_P_ALL = 0x0003;
const LINK_ADDRESS_OCTETS = 20;
const POLL_MS = 10;
const BUFFER_OCTETS = 8 * 1024 * 1024;

const fd = libc.socket(AF_PACKET, libc.SOCK_RAW | libc.SOCK_NONBLOCK, 0);
const address = Buffer.alloc(LINK_ADDRESS_OCTETS);
address.writeUInt16LE(AF_PACKET, 0);
address.writeUInt16BE(ETH_P_ALL, 2);
address.writeInt32LE(Number(readFileSync(`/sys/class/net/${process.argv[2] ?? "wire"}/ifindex`, "utf8")), 4);
libc.setsockopt(fd, libc.SOL_SOCKET, libc.SO_RCVBUFFORCE, BUFFER_OCTETS);
libc.bind(fd, address);
console.log("ready");

const buffer = Buffer.alloc(65_536);
function read() {
  for (let length = 1; length > 0; ) {
    length = libc.recv(fd, buffer, buffer.length, libc.MSG_DONTWAIT);
    if (length > 0) console.log(buffer.toString("hex", 0, length));
  }
}
setInterval(read, POLL_MS);
process.stdin.on("end", () => {
  read();
  process.exit(0);
});
process.stdin.resume();
