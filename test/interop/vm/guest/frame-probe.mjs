// Sends and receives frames through devices of this network namespace, and reads the kernel's sessions: a line of JSON for
// each question on standard input, and one for each answer. See `Probe` of matrix-lab.mjs, which starts it.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { L2TP_ATTRIBUTES, L2TP_FAMILY_NAME, resolveFamily } from "/app/dist/src/kernel/l2tp-genl.js";
import * as libc from "/app/dist/src/kernel/libc.js";
import { dump } from "/app/dist/src/kernel/netlink-dump.js";
import {
  decodeAttributes,
  genericAttributes,
  genericPayload,
  NETLINK_GENERIC,
  nested,
  u64,
} from "/app/dist/src/kernel/netlink-messages.js";
import { NetlinkSocket } from "/app/dist/src/kernel/netlink-socket.js";

const AF_PACKET = 17;
const LINK_ADDRESS_OCTETS = 20;
/** IEEE 802's own for experiments: nothing else in the guest sends such frames, or answers them. */
const ETHER_TYPE = 0x88b5;
const ETHERNET_OCTETS = 14;
const SMALL_OCTETS = 60;
const IFF_UP = 1;
const L2TP_CMD_SESSION_GET = 8;
const GENL_VERSION = 1;

/** include/uapi/linux/l2tp.h; of these the daemon itself reads fewer. */
const STATISTICS = nested({
  sentPackets: [1, u64],
  sendErrors: [3, u64],
  receivedPackets: [4, u64],
  sequenceDiscards: [6, u64],
  outOfSequence: [7, u64],
  receiveErrors: [8, u64],
  cookieDiscards: [10, u64],
  invalid: [11, u64],
});

const sockets = new Map();

function socketOf(device) {
  const fd = libc.socket(AF_PACKET, libc.SOCK_RAW | libc.SOCK_NONBLOCK, 0);
  const address = Buffer.alloc(LINK_ADDRESS_OCTETS);
  address.writeUInt16LE(AF_PACKET, 0);
  address.writeUInt16BE(ETHER_TYPE, 2);
  address.writeInt32LE(libc.interfaceIndex(device), 4);
  libc.bind(fd, address);
  return fd;
}

function frameOf(text, octets) {
  const frame = Buffer.alloc(octets);
  frame.fill(0xff, 0, 6);
  frame.writeUInt8(0x02, 6);
  frame.writeUInt16BE(ETHER_TYPE, 12);
  frame.writeUInt8(text.length, ETHERNET_OCTETS);
  frame.write(text, ETHERNET_OCTETS + 1, "latin1");
  return frame;
}

/** Which of the devices are down: a session is established before the kernel has set its device up. */
function down({ devices }) {
  const isDown = (device) => (Number(readFileSync(`/sys/class/net/${device}/flags`, "utf8")) & IFF_UP) === 0;
  return { devices: devices.filter(isDown) };
}

/** `count` frames through each device, each with its number; the last is as long as the device takes. */
function send({ devices, count }) {
  for (const device of devices) {
    const mtu = Number(readFileSync(`/sys/class/net/${device}/mtu`, "utf8"));
    for (let i = 1; i <= count; i++) {
      const frame = frameOf(`${device} ${i}`, i === count ? mtu + ETHERNET_OCTETS : SMALL_OCTETS);
      const sent = libc.send(sockets.get(device), frame, frame.length, 0);
      if (sent !== frame.length) return { error: `${device}: ${sent} of ${frame.length} octets sent` };
    }
  }
  return {};
}

/** What has come by each device since the last question, in its order. */
function receive({ devices }) {
  const buffer = Buffer.alloc(65_536);
  const received = {};
  for (const device of devices) {
    received[device] = [];
    for (;;) {
      const length = libc.recv(sockets.get(device), buffer, buffer.length, libc.MSG_DONTWAIT);
      if (length <= 0) break;
      const start = ETHERNET_OCTETS + 1;
      received[device].push(buffer.toString("latin1", start, start + buffer[ETHERNET_OCTETS]));
    }
  }
  return received;
}

/** The kernel's sessions by their devices: ids, cookies in hexadecimal digits, and what was counted. */
function sessions() {
  const netlink = new NetlinkSocket(NETLINK_GENERIC);
  const family = resolveFamily((requests) => netlink.exchange(requests), L2TP_FAMILY_NAME);
  netlink.close();
  const payload = Buffer.concat(genericPayload(L2TP_CMD_SESSION_GET, GENL_VERSION, Buffer.alloc(0)));
  const table = { ...L2TP_ATTRIBUTES, statistics: [30, STATISTICS] };
  const found = dump(NETLINK_GENERIC, family.id, payload).map(({ octets }) =>
    decodeAttributes(table, genericAttributes(octets)),
  );
  return Object.fromEntries(
    found.map(({ interfaceName, sessionId, peerSessionId, cookie, peerCookie, statistics }) => {
      const [sends, expects] = [cookie, peerCookie].map((octets) => Buffer.from(octets ?? []).toString("hex"));
      const counted = Object.entries(statistics).map(([name, value]) => [name, Number(value)]);
      return [interfaceName, { sessionId, peerSessionId, sends, expects, ...Object.fromEntries(counted) }];
    }),
  );
}

const ANSWERS = {
  open: ({ devices }) => {
    for (const device of devices) sockets.set(device, socketOf(device));
    return {};
  },
  down,
  send,
  receive,
  sessions,
};

function answer(line) {
  const { question, ...more } = JSON.parse(line);
  try {
    return ANSWERS[question](more);
  } catch (error) {
    return { error: String(error.stack) };
  }
}

createInterface(process.stdin).on("line", (line) => process.stdout.write(`${JSON.stringify(answer(line))}\n`));
