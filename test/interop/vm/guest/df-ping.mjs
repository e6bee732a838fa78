// node df-ping.mjs {ADDRESS OCTETS}…: echo requests in IPv4 packets of that length that nobody may fragment. Prints a line
// for each: "reply", or "too long, MTU N" where the way to ADDRESS is known to carry N octets at most, or "nothing".
import * as libc from "/app/dist/src/kernel/libc.js";

const ICMP = 1;
const IP_PMTUDISC_DO = 2;
const EMSGSIZE = 90;
const [IP_HEADER, ECHO_REQUEST, ECHO_REPLY] = [20, 8, 0];
const [ATTEMPTS, WAIT_MS] = [6, 2_000];

function request(length, identifier) {
  const octets = Buffer.alloc(length, 0x5a);
  octets.writeUInt16BE(ECHO_REQUEST << 8, 0);
  octets.writeUInt16BE(0, 2);
  octets.writeUInt16BE(identifier, 4);
  octets.writeUInt16BE(1, 6);
  let sum = 0;
  for (let at = 0; at < length; at += 2) sum += at + 1 < length ? octets.readUInt16BE(at) : octets[at] << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  octets.writeUInt16BE(~sum & 0xffff, 2);
  return octets;
}

/** Waits for the answer to `sent`, whole. */
function isAnswered(fd, sent) {
  const [octets, polled] = [Buffer.alloc(65_536), Buffer.alloc(8)];
  polled.writeInt32LE(fd, 0);
  polled.writeInt16LE(libc.POLLIN, 4);
  for (const end = performance.now() + WAIT_MS; performance.now() < end; ) {
    libc.poll(polled, 1, Math.ceil(end - performance.now()));
    const length = libc.recv(fd, octets, octets.length, libc.MSG_DONTWAIT);
    if (length === -EMSGSIZE) return false;
    const answer = octets.subarray((octets[0] & 15) * 4, Math.max(length, 0));
    if (answer[0] === ECHO_REPLY && answer.length === sent.length && answer.subarray(4).equals(sent.subarray(4)))
      return true;
  }
  return false;
}

function ping(address, length) {
  const fd = libc.socket(libc.AF_INET, libc.SOCK_RAW, ICMP);
  libc.setsockopt(fd, libc.IPPROTO_IP, libc.IP_MTU_DISCOVER, IP_PMTUDISC_DO);
  const socketAddress = Buffer.alloc(16);
  socketAddress.writeUInt16LE(libc.AF_INET, 0);
  libc.inetPton(libc.AF_INET, address).copy(socketAddress, 4);
  libc.connect(fd, socketAddress);
  const echo = request(length - IP_HEADER, process.pid & 0xffff);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const sent = libc.send(fd, echo, echo.length, 0);
    if (sent === echo.length && isAnswered(fd, echo)) return "reply";
    const mtu = libc.getsockopt(fd, libc.IPPROTO_IP, libc.IP_MTU);
    if (mtu < length) return `too long, MTU ${mtu}`;
  }
  return "nothing";
}

const words = process.argv.slice(2);
for (let at = 0; at < words.length; at += 2) console.log(ping(words[at], Number(words[at + 1])));
