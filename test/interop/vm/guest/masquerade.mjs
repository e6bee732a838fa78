// Turns on NAT in this network namespace: what leaves it gets the address of the device it leaves by, and a port of its
// own. It is `nft add table ip nat; nft add chain ip nat out { type nat hook postrouting priority 100 \; };
// nft add rule ip nat out masquerade`, said to nfnetlink without nft. With the word "random" it is `masquerade
// fully-random`: without it a port that is free stays as it is.
import * as libc from "/app/dist/src/kernel/libc.js";

const NETLINK_NETFILTER = 12;
const [BATCH_BEGIN, BATCH_END] = [0x10, 0x11];
const NFTABLES = 10;
const [NEW_TABLE, NEW_CHAIN, NEW_RULE] = [0, 3, 6].map((type) => (NFTABLES << 8) | type);
const [REQUEST, ACK, CREATE, APPEND] = [0x1, 0x4, 0x400, 0x800];
const NESTED = 0x8000;
const ERROR = 2;
const POST_ROUTING = 4;
const PRIORITY_OF_SOURCE_NAT = 100;
const PROTO_RANDOM_FULLY = 0x10;

function attribute(type, value) {
  const length = Buffer.alloc(4);
  length.writeUInt16LE(4 + value.length, 0);
  length.writeUInt16LE(type, 2);
  return Buffer.concat([length, value, Buffer.alloc(-value.length & 3)]);
}

const text = (type, value) => attribute(type, Buffer.from(`${value}\0`));
const nested = (type, ...parts) => attribute(type | NESTED, Buffer.concat(parts));

function number(type, value) {
  const octets = Buffer.alloc(4);
  octets.writeUInt32BE(value);
  return attribute(type, octets);
}

let sequence = 0;

function message(type, flags, family, resource, ...attributes) {
  const body = Buffer.concat(attributes);
  const header = Buffer.alloc(20);
  header.writeUInt32LE(header.length + body.length, 0);
  header.writeUInt16LE(type, 4);
  header.writeUInt16LE(REQUEST | flags, 6);
  header.writeUInt32LE(++sequence, 8);
  header.writeUInt8(family, 16);
  header.writeUInt16BE(resource, 18);
  return Buffer.concat([header, body]);
}

const [table, chain] = ["nat", "out"];
const hook = nested(4, number(1, POST_ROUTING), number(2, PRIORITY_OF_SOURCE_NAT));
const flags = process.argv[2] === "random" ? nested(2, number(1, PROTO_RANDOM_FULLY)) : Buffer.alloc(0);
const masquerade = nested(4, nested(1, text(1, "masq"), flags));
const requests = [
  message(NEW_TABLE, CREATE | ACK, libc.AF_INET, 0, text(1, table)),
  message(NEW_CHAIN, CREATE | ACK, libc.AF_INET, 0, text(1, table), text(3, chain), hook, text(7, "nat")),
  message(NEW_RULE, CREATE | APPEND | ACK, libc.AF_INET, 0, text(1, table), text(2, chain), masquerade),
];
const batch = [message(BATCH_BEGIN, 0, 0, NFTABLES), ...requests, message(BATCH_END, 0, 0, NFTABLES)];

const fd = libc.socket(libc.AF_NETLINK, libc.SOCK_RAW, NETLINK_NETFILTER);
const octets = Buffer.concat(batch);
if (libc.send(fd, octets, octets.length, 0) !== octets.length) throw new Error("the kernel takes no batch");
const answer = Buffer.alloc(8192);
for (const _ of requests) {
  const length = libc.recv(fd, answer, answer.length, 0);
  const code = length >= 20 && answer.readUInt16LE(4) === ERROR ? answer.readInt32LE(16) : -1;
  if (code !== 0) throw new Error(`request ${answer.readUInt32LE(8)} is refused: ${code}`);
}
