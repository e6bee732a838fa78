// Cookies, sublayer and sequencing on the kernel's datapath: between two daemons, and against a static tunnel of `ip l2tp`.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { KernelDatapath } from "../../../../dist/src/kernel/kernel-datapath.js";
import { connectSocket, openConnectionSocket } from "../../../../dist/src/kernel/sockets.js";
import { attempt, check, equal, run, scenario, sleep, startBoth } from "./daemon-lab.mjs";

const ETHERNET_OCTETS = 14;
const DATA_HEADER_OCTETS = 8;
const SEQUENCED = 0x40;
/** IPv4, ARP, IPv6. */
const ETHER_TYPES = [0x0800, 0x0806, 0x86dd];

const COOKIES = [
  [0, 0],
  [4, 4],
  [8, 8],
  [4, 8],
  [8, 0],
];
const LAYERS = [
  ["none", ["none", "none"]],
  ["default", ["none", "none"]],
  ["default", ["all", "all"]],
];
const ONE_SIDED = [
  ["all", "none"],
  ["none", "all"],
  ["non-ip", "non-ip"],
].map((sequencing) => ({ cookies: [8, 8], sublayer: "default", sequencing }));

/** Cookie sizes and sequencing: of "a", which calls, and of "b". */
const MATRIX = [
  ...COOKIES.flatMap((cookies) => LAYERS.map(([sublayer, sequencing]) => ({ cookies, sublayer, sequencing }))),
  ...ONE_SIDED,
].map((each, index) => ({
  ...each,
  name: `s${index}`,
  subnet: `192.168.${100 + index}`,
  title: `cookies ${each.cookies.join(" and ")}, sublayer ${each.sublayer}, sequencing ${each.sequencing.join(" and ")}`,
  isSequenced: each.sequencing.some((level) => level !== "none"),
}));

function settings(side) {
  const sessions = MATRIX.map(({ name, cookies, sublayer, sequencing, subnet }) => [
    name,
    {
      interface: `l2-${name}`,
      cookie_size: cookies[side],
      l2_sublayer: sublayer,
      sequencing: sequencing[side],
      reorder_timeout: "200ms",
      addresses: [`${subnet}.${side + 1}/24`],
    },
  ]);
  // The kernel makes one device after the other, slowly in an emulated machine: nobody shall lose patience.
  const retransmit = { initial: "1s", retries: 8, sccrq_retries: 8 };
  return { tunnel: { hello_interval: "60s", retransmit }, sessions: Object.fromEntries(sessions) };
}

/** What crosses the device "wire" of a namespace (`undefined`: this one) while `body` runs. */
async function captured(namespace, body) {
  const script = fileURLToPath(new URL("wire-capture.mjs", import.meta.url));
  const words = namespace === undefined ? [] : ["ip", "netns", "exec", namespace];
  const [command, ...args] = [...words, process.execPath, script];
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
  const lines = [];
  const isReady = new Promise((resolve) => {
    createInterface(child.stdout).on("line", (line) => (line === "ready" ? resolve() : lines.push(line)));
  });
  await isReady;
  await body();
  await sleep(100);
  const isOver = new Promise((resolve) => child.on("close", resolve));
  child.stdin.end();
  await isOver;
  return lines.map((line) => Buffer.from(line, "hex")).flatMap(dataOf);
}

/** The L2TPv3 data message in a frame: source address, Session ID, and all octets of the message. */
function dataOf(frame) {
  if (frame.readUInt16BE(12) !== 0x0800 || frame[23] !== 17) return [];
  const udp = ETHERNET_OCTETS + (frame[ETHERNET_OCTETS] & 0x0f) * 4;
  const message = frame.subarray(udp + 8, udp + frame.readUInt16BE(udp + 4));
  if (message.length < DATA_HEADER_OCTETS || (message[0] & 0x80) !== 0 || (message[1] & 0x0f) !== 3) return [];
  return [{ from: frame.subarray(26, 30).join("."), sessionId: message.readUInt32BE(4), message }];
}

/** What is wrong with a message, by hand: cookie, sublayer, and then a frame of IPv4, ARP or IPv6. */
function* flawsOfMessage(message, previous, { cookie, sublayer, isSequenced }) {
  const sublayerAt = DATA_HEADER_OCTETS + cookie.length;
  const frameAt = sublayerAt + (sublayer === "default" ? 4 : 0);
  if (!message.subarray(DATA_HEADER_OCTETS, sublayerAt).equals(cookie)) yield "another cookie";
  if (!ETHER_TYPES.includes(message.readUInt16BE(frameAt + 12))) yield "no frame where it has to begin";
  if (sublayer === "none") return;
  const word = message.readUInt32BE(sublayerAt);
  if (!isSequenced && word !== 0) yield `${word} in the sublayer`;
  if (!isSequenced) return;
  if (word >>> 24 !== SEQUENCED) yield `flags ${word >>> 24} of the sublayer`;
  if (previous !== undefined && word !== previous.readUInt32BE(sublayerAt) + 1) yield "a number that does not follow";
}

/** The same of all messages of one direction; empty: nothing. */
function flawsOf(messages, kind) {
  const flaws = messages.flatMap(({ message }, i) => [...flawsOfMessage(message, messages[i - 1]?.message, kind)]);
  return [...new Set(messages.length < 3 ? [...flaws, `only ${messages.length} messages`] : flaws)].join(", ");
}

/** The cookie that the first of the messages has: it is random, and the kernel at the other end takes no other. */
function cookieIn(messages, size) {
  return messages[0]?.message.subarray(DATA_HEADER_OCTETS, DATA_HEADER_OCTETS + size) ?? Buffer.alloc(0);
}

/** The session's own messages, from `site` to the end that `session` is. */
function checkDirection(title, data, site, session, { sublayer, isSequenced }) {
  const messages = data.filter(
    ({ from, sessionId }) => from === site.addresses && sessionId === session.local_session_id,
  );
  const cookie = cookieIn(messages, session.local_cookie_size);
  equal(`${title}: what ${site.name} sends`, flawsOf(messages, { cookie, sublayer, isSequenced }), "");
}

await scenario("cookies, sublayer and sequencing", async (sites) => {
  const { a, b } = await startBoth(sites, `${MATRIX.length} sessions of all kinds come up`, {
    a: settings(0),
    b: settings(1),
  });
  const shown = [await a.tunnel(), await b.tunnel()];
  const pings = [];
  const data = await captured("b", async () => {
    for (const { subnet } of MATRIX) pings.push(await sites.a.ping(`${subnet}.2`, { count: 3, interval: 0.05 }));
  });
  const [endAtA, endAtB] = [await a.tunnel(), await b.tunnel()];
  for (const [index, kind] of MATRIX.entries()) {
    const { title, name, sublayer, isSequenced, cookies } = kind;
    const [atA, atB] = shown.map(({ sessions }) => sessions.find((each) => each.name === name));
    check(`${title}: frames pass`, pings[index]);
    equal(
      `${title}: show agrees`,
      [atA, atB].map((each) => [each.l2_sublayer, each.local_cookie_size, each.remote_cookie_size]),
      [
        [sublayer, cookies[0], cookies[1]],
        [sublayer, cookies[1], cookies[0]],
      ],
    );
    equal(
      `${title}: both ends ask each other for sequence numbers, or neither`,
      [atA.local_sequencing, atB.local_sequencing, atA.remote_sequencing, atB.remote_sequencing].map(
        (each) => each !== "none",
      ),
      Array(4).fill(isSequenced),
    );
    checkDirection(title, data, sites.a, atB, kind);
    checkDirection(title, data, sites.b, atA, kind);
    const errors = [endAtA, endAtB].map(({ sessions }) => sessions.find((each) => each.name === name).counters);
    equal(
      `${title}: no errors`,
      errors.map(({ receive_errors }) => receive_errors),
      [0, 0],
    );
  }
});

// A static tunnel at the other end

const STATIC = COOKIES.flatMap((cookies) =>
  [
    ["none", "none"],
    ["default", "none"],
    ["default", "all"],
  ].map(([sublayer, sequencing]) => ({ cookies, sublayer, sequencing })),
);

function cookieOf(size, first) {
  return Buffer.from(Array.from({ length: size }, (_, i) => first + i));
}

async function againstStaticTunnel() {
  run("ip", "netns", "add", "plain");
  run("ip", "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", "plain");
  const plain = (...words) => run("ip", "-n", "plain", ...words);
  run("ip", "link", "set", "wire", "up");
  run("ip", "address", "add", "10.1.0.1/24", "dev", "wire");
  for (const words of ["link set lo up", "link set wire up", "address add 10.1.0.2/24 dev wire"])
    plain(...words.split(" "));
  plain(
    ..."l2tp add tunnel tunnel_id 2 peer_tunnel_id 1 encap udp local 10.1.0.2 remote 10.1.0.1".split(" "),
    ..."udp_sport 1701 udp_dport 1701".split(" "),
  );
  const datapath = new KernelDatapath({ sessionLost() {}, tunnelLost() {} });
  const fd = openConnectionSocket({ local: { address: "10.1.0.1", port: 1701 } });
  connectSocket(fd, { address: "10.1.0.2", port: 1701 });
  await datapath.createTunnel({
    localControlConnectionId: 1,
    remoteControlConnectionId: 2,
    fd,
    onControlDatagram() {},
  });
  for (const [index, { cookies, sublayer, sequencing }] of STATIC.entries()) {
    const title = `ip l2tp, cookies ${cookies.join(" and ")}, sublayer ${sublayer}, sequencing ${sequencing}`;
    const [ours, theirs] = [cookieOf(cookies[0], 0xa0), cookieOf(cookies[1], 0xb0)];
    const subnet = `192.168.${200 + index}`;
    const isSequenced = sequencing === "all";
    await datapath.createSession({
      localControlConnectionId: 1,
      localSessionId: 100 + index,
      remoteSessionId: 200 + index,
      localCookie: ours,
      remoteCookie: theirs,
      l2Sublayer: sublayer,
      sendSequencing: isSequenced,
      receiveSequencing: sequencing,
      reorderTimeoutMs: 20,
      sequenceWindow: 2 ** 23,
      resyncAfter: 5,
      interfaceName: `our${index}`,
      mtu: "auto",
      bridge: undefined,
      isolated: false,
      routes: [],
      addresses: [`${subnet}.1/24`],
    });
    await datapath.raiseSession(100 + index);
    const [theirWords, ourWords] = [theirs, ours].map((cookie) => cookie.toString("hex"));
    plain(
      ..."l2tp add session tunnel_id 2".split(" "),
      ...["session_id", String(200 + index), "peer_session_id", String(100 + index), "name", `their${index}`],
      ...["l2spec_type", sublayer, "seq", isSequenced ? "both" : "none"],
      ...(ours.length > 0 ? ["cookie", ourWords] : []),
      ...(theirs.length > 0 ? ["peer_cookie", theirWords] : []),
    );
    plain("link", "set", `their${index}`, "up");
    plain("address", "add", `${subnet}.2/24`, "dev", `their${index}`);
    let result;
    const data = await captured(undefined, async () => {
      result = await attempt("ping", "-c", "3", "-i", "0.05", "-W", "3", `${subnet}.2`);
    });
    check(`${title}: frames pass`, result.stdout.includes(" 3 packets received"), result.stdout);
    const sent = data.filter(({ sessionId }) => sessionId === 200 + index);
    equal(`${title}: what we send`, flawsOf(sent, { cookie: theirs, sublayer, isSequenced }), "");
    const received = data.filter(({ sessionId }) => sessionId === 100 + index);
    equal(`${title}: what we receive`, flawsOf(received, { cookie: ours, sublayer, isSequenced }), "");
  }
  await checkOneSided(datapath, plain);
  await datapath.close();
  run("ip", "netns", "delete", "plain");
}

/**
 * Why who sends sequence numbers has to ask for them: the kernel takes no frame without, whatever RECV_SEQ says (F46). The
 * static end, which `ip l2tp` makes with LNS_MODE off, begins to number its frames when it sees the first of ours.
 */
async function checkOneSided(datapath, plain) {
  const base = {
    localControlConnectionId: 1,
    l2Sublayer: "default",
    receiveSequencing: "none",
    reorderTimeoutMs: 20,
    sequenceWindow: 2 ** 23,
    resyncAfter: 5,
  };
  const none = Buffer.alloc(0);
  await datapath.createSession({
    ...base,
    localSessionId: 190,
    remoteSessionId: 290,
    localCookie: none,
    remoteCookie: none,
    sendSequencing: true,
    interfaceName: "our90",
    mtu: "auto",
    bridge: undefined,
    isolated: false,
    routes: [],
    addresses: ["192.168.90.1/24"],
  });
  await datapath.raiseSession(190);
  plain(
    ..."l2tp add session tunnel_id 2 session_id 290 peer_session_id 190 name their90 l2spec_type default seq none".split(
      " ",
    ),
  );
  for (const words of ["link set their90 up", "address add 192.168.90.2/24 dev their90"]) plain(...words.split(" "));
  const { stdout } = await attempt("ping", "-c", "2", "-i", "0.1", "-W", "1", "192.168.90.2");
  check("a static end answers sequence numbers with its own", / 2 packets received/.test(stdout), stdout);
}

await againstStaticTunnel();
