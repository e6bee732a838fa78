// Prints what L2TP the device "wire" of this network namespace carries, a line of JSON for each packet: its IP version,
// its direction, "udp" or "ip", ports, and what stands behind the IP or UDP header in hex. Fragments are only counted as such.
import * as libc from "/app/dist/src/kernel/libc.js";

const AF_PACKET = 17;
const ETH_P_ALL = 0x0003;
const OUTGOING = 4;
const UDP = 17;
const L2TP = 115;
const FRAGMENT = 44;

const fd = libc.socket(AF_PACKET, libc.SOCK_DGRAM, ((ETH_P_ALL & 0xff) << 8) | (ETH_P_ALL >> 8));
const wire = libc.interfaceIndex("wire");
const octets = Buffer.alloc(65_536);
const address = Buffer.alloc(20);

function readIp(packet) {
  if (packet[0] >> 4 === 4) {
    const start = (packet[0] & 15) * 4;
    const isFragment = (packet.readUInt16BE(6) & 0x3fff) !== 0;
    return { version: 4, protocol: packet[9], isFragment, payload: packet.subarray(start, packet.readUInt16BE(2)) };
  }
  const isFragment = packet[6] === FRAGMENT;
  const payload = packet.subarray(40, 40 + packet.readUInt16BE(4));
  return { version: 6, protocol: isFragment ? payload[0] : packet[6], isFragment, payload };
}

function describe(packet, isSent) {
  const { version, protocol, isFragment, payload } = readIp(packet);
  if (protocol !== UDP && protocol !== L2TP) return undefined;
  const kind = protocol === UDP ? "udp" : "ip";
  if (isFragment) return { version, kind, isSent, isFragment };
  if (kind === "ip") return { version, kind, isSent, hex: payload.toString("hex") };
  const [from, to, checksum] = [payload.readUInt16BE(0), payload.readUInt16BE(2), payload.readUInt16BE(6)];
  return { version, kind, isSent, from, to, checksum, hex: payload.subarray(8).toString("hex") };
}

process.stdout.write("listening\n");
for (;;) {
  const length = libc.recvfrom(fd, octets, octets.length, 0, address);
  if (length <= 0 || address.readInt32LE(4) !== wire) continue;
  const protocol = address.readUInt16BE(2);
  if (protocol !== 0x0800 && protocol !== 0x86dd) continue;
  const described = describe(octets.subarray(0, length), address[10] === OUTGOING);
  if (described !== undefined) process.stdout.write(`${JSON.stringify(described)}\n`);
}
