// Every encapsulation with every cookie, sublayer and sequencing that both ends can have: two daemons, and a daemon with
// plain `ip l2tp` at the other end. The frames on the wire are for the host, which shows them to tshark.
import { writeFileSync } from "node:fs";
import { check, configurationOf, equal, leftIn, matches, scenario, within } from "./daemon-lab.mjs";
import {
  addAddresses,
  beSilent,
  CARRIERS,
  Capture,
  cellsOf,
  checkFrames,
  checkNothingPasses,
  expectedOf,
  FRAMES,
  Probe,
  shorterBy,
} from "./matrix-lab.mjs";

const UP_MS = 180_000;
/** Two processors may bring frames in another order, and one that is late may be very late in an emulated machine. */
const REORDER = "2s";
const PATIENT = { hello_interval: "60s", retransmit: { initial: "2s", retries: 8, sccrq_retries: 8 } };

function lcce(site, more) {
  return {
    hostname: `site-${site.name}`,
    router_id: site.addresses,
    admin_socket: `/run/daemons/${site.name}.sock`,
    log_level: "info",
    datapath: "kernel",
    ...more,
  };
}

/** Which end opens the connection, and with it places the calls. */
function callerOf({ name }) {
  return name === "u4" || name === "i6" ? "a" : "b";
}

/** Sessions of a carrier between two daemons: those of all cells, one where the called end's sublayer is the caller's. */
const NEGOTIATED = CARRIERS.flatMap((carrier) => {
  const caller = callerOf(carrier);
  const layer = { sublayer: "default", sequencing: "all" };
  const mirrored = { cookies: [8, 8], ...layer, isMirrored: true, title: "F41 the caller's sublayer serves both" };
  return [...cellsOf(carrier), mirrored].map((cell, index) => ({
    ...cell,
    carrier,
    caller,
    name: `${carrier.name}-${index}`,
    device: `l2-${carrier.name}-${index}`,
    title: `${carrier.title}: ${cell.title}`,
  }));
});

function keysOf({ device, cookies, sublayer, sequencing, isMirrored, caller }, site) {
  const silent = isMirrored && caller !== site.name;
  return {
    interface: device,
    cookie_size: cookies[site.name === "a" ? 0 : 1],
    l2_sublayer: silent ? "none" : sublayer,
    sequencing: silent ? "none" : sequencing,
    reorder_timeout: REORDER,
  };
}

function negotiated(site) {
  const tables = { lcce: lcce(site, {}) };
  for (const carrier of CARRIERS) {
    const { name, kind, ends } = carrier;
    const caller = callerOf(carrier);
    const [local, peer] = site.name === "a" ? ends : [...ends].reverse();
    const role = site.name === caller ? "initiator" : "responder";
    tables[`tunnel.${name}`] = { local, peer, role, encapsulation: kind, ...PATIENT, reconnect: { min: "5s" } };
    for (const cell of NEGOTIATED.filter(({ carrier }) => carrier.name === name)) {
      tables[`tunnel.${name}.session.${cell.name}`] = keysOf(cell, site);
    }
    // Sequence numbers without a place for them: the called end wants them, and the caller sends no sublayer.
    const wants = { l2_sublayer: "default", sequencing: "all" };
    tables[`tunnel.${name}.session.never`] = { interface: `l2-${name}-never`, ...(site.name === caller ? {} : wants) };
  }
  return configurationOf(tables);
}

/** Of these tunnels all sessions but those that are never up. The log is asked first: `show` costs the daemon more. */
async function areUp(daemon, names, devices) {
  const log = daemon.lines(({ event }) => event === "session-established").join("\n");
  if (!devices.every((device) => log.includes(`on ${device}`))) return false;
  const tunnels = (await daemon.show())?.tunnels.filter(({ name }) => names.includes(name)) ?? [];
  const sessions = tunnels.flatMap((tunnel) => tunnel.sessions).filter(({ name }) => name !== "never");
  return sessions.length === devices.length && sessions.every(({ state }) => state === "established");
}

async function untilUp(title, daemons, cells) {
  const names = [...new Set(cells.map(({ carrier }) => carrier.name))];
  const devices = cells.map(({ device }) => device);
  const all = async () => {
    for (const daemon of daemons) if (!(await areUp(daemon, names, devices))) return false;
    return true;
  };
  const explain = async () => (await Promise.all(daemons.map((daemon) => daemon.explain()))).join("\n");
  await within(title, UP_MS, all, explain);
}

/** What no datapath can do is refused in words that both ends tell, and no device is left of it. */
async function checkNever({ name, title }, sites, [caller, called]) {
  const words = /sequencing.*(?:no L2-Specific|without an L2-Specific) Sublayer/;
  const explain = async () => `${await caller.explain()}\n${await called.explain()}`;
  const heard = async () => {
    const tunnel = (await caller.show()).tunnels.find((each) => each.name === name);
    return words.test(tunnel.sessions.find((session) => session.name === "never").last_error);
  };
  await within(
    `F41 ${title}: sequencing without a sublayer: the caller hears the reason in a CDN`,
    UP_MS,
    heard,
    explain,
  );
  const refusals = called.lines(({ event, message }) => event === "call-refused" && words.test(message));
  check(`${title}: the called end says it too`, refusals.length > 0);
  const devices = [sites.a, sites.b]
    .flatMap((site) => site.devices())
    .filter((device) => device === `l2-${name}-never`);
  equal(`${title}: and there is no device for it`, devices, []);
}

await scenario("matrix of two daemons", async (sites) => {
  beSilent(sites);
  const capture = await Capture.start(sites);
  const [b, a] = [sites.b, sites.a].map((site) => sites.startWith(site, negotiated(site)));
  const probes = [sites.a, sites.b].map((site) => new Probe(site));
  const expected = [];
  for (const carrier of CARRIERS) {
    const cells = NEGOTIATED.filter((cell) => cell.carrier === carrier);
    addAddresses(sites, carrier.ends);
    await untilUp(`F01 ${carrier.title}: tunnel and sessions come up when the wire has its addresses`, [a, b], cells);
    await checkNever(carrier, sites, callerOf(carrier) === "a" ? [a, b] : [b, a]);
    const [atA, atB] = await checkFrames(cells, ...probes);
    for (const { device, title, cookies, sublayer, sequencing } of cells) {
      const sizes = [atA[device], atB[device]].map(({ expects }) => expects.length / 2);
      equal(`F40 ${title}: each end expects a cookie of its size`, sizes, cookies);
      const common = { title, carrier, sublayer, sequencing };
      for (const [from, to, { sessionId, expects }] of [
        ["a", "b", atB[device]],
        ["b", "a", atA[device]],
      ]) {
        const shorter = shorterBy(cookies, to);
        expected.push(expectedOf({ ...common, from, sessionId, cookie: expects, shorter }));
      }
    }
  }
  await capture.finish("negotiated", expected);
  for (const probe of probes) await probe.end();
});

// A static tunnel of the daemon at "a", plain `ip l2tp` at "b"

/** A cookie of its own for each direction of each session. */
function cookieOf(size, first, index) {
  return Buffer.from(Array.from({ length: size }, (_, i) => (i === 1 ? index : first + i))).toString("hex");
}

/** Cookies that the sender and the receiver do not have alike: another last bit, or another size. */
const WRONG = [
  {
    cookies: [4, 8],
    sent: (cookie) => `${cookie.slice(0, -1)}${(Number.parseInt(cookie.at(-1), 16) ^ 1).toString(16)}`,
  },
  { cookies: [8, 8], sent: (cookie) => cookie.slice(8) },
].map((each) => ({ ...each, sublayer: "none", sequencing: "none", isWrong: true, title: "F11 a wrong cookie" }));

const STATIC = CARRIERS.flatMap((carrier, i) =>
  [...cellsOf(carrier), ...WRONG].map(({ sent = (cookie) => cookie, ...cell }, index) => {
    const [toA, toB] = [cookieOf(cell.cookies[0], 0xa0 + i, index), cookieOf(cell.cookies[1], 0xc0 + i, index)];
    return {
      ...cell,
      carrier,
      name: `${carrier.name}-${index}`,
      device: `l2-${carrier.name}-${index}`,
      title: `static, ${carrier.title}: ${cell.title}${cell.isWrong ? `, ${cell.cookies.join(" and ")} octets` : ""}`,
      ids: [carrier.first + index, carrier.first + 500 + index],
      toA,
      toB,
      // What `ip l2tp` has typed in.
      cookie: sent(toA),
      peerCookie: sent(toB),
    };
  }),
);

function staticConfiguration(site) {
  const tables = { lcce: lcce(site, { listen: [] }) };
  for (const { name, kind, ends, first } of CARRIERS) {
    const ids = { local_tunnel_id: first, remote_tunnel_id: first + 500 };
    tables[`tunnel.${name}`] = { mode: "static", peer: ends[1], encapsulation: kind, ...ids };
    for (const cell of STATIC.filter(({ carrier }) => carrier.name === name)) {
      const { device, ids, toA, toB, sublayer, sequencing } = cell;
      tables[`tunnel.${name}.session.${cell.name}`] = {
        interface: device,
        local_session_id: ids[0],
        remote_session_id: ids[1],
        local_cookie: toA,
        remote_cookie: toB,
        l2_sublayer: sublayer,
        sequencing,
        reorder_timeout: REORDER,
      };
    }
  }
  return configurationOf(tables);
}

/** What an administrator types at the other end. */
function* typedIn() {
  for (const { kind, ends, first } of CARRIERS) {
    const ports = kind === "udp" ? "udp_sport 1701 udp_dport 1701" : "";
    const ids = `tunnel_id ${first + 500} peer_tunnel_id ${first}`;
    yield `l2tp add tunnel ${ids} encap ${kind} local ${ends[1]} remote ${ends[0]} ${ports}`;
  }
  for (const { carrier, device, ids, cookie, peerCookie, sublayer, sequencing } of STATIC) {
    const words = [
      `l2tp add session name ${device} tunnel_id ${carrier.first + 500} session_id ${ids[1]} peer_session_id ${ids[0]}`,
      cookie === "" ? "" : `cookie ${cookie}`,
      peerCookie === "" ? "" : `peer_cookie ${peerCookie}`,
      `l2spec_type ${sublayer} seq ${sequencing === "all" ? "both" : "none"}`,
    ];
    yield words.join(" ");
    yield `link set ${device} up`;
  }
}

await scenario("matrix against ip l2tp", async (sites) => {
  for (const { ends } of CARRIERS) addAddresses(sites, ends);
  beSilent(sites);
  const capture = await Capture.start(sites);
  writeFileSync("/run/typed-in", `${[...typedIn()].join("\n")}\n`);
  sites.b.ip("-batch", "/run/typed-in");
  const daemon = sites.startWith(sites.a, staticConfiguration(sites.a));
  const probes = [sites.a, sites.b].map((site) => new Probe(site));
  await untilUp(`static: ${STATIC.length} sessions in four tunnels come up`, [daemon], STATIC);
  const expected = [];
  for (const carrier of CARRIERS) {
    const cells = STATIC.filter((cell) => cell.carrier === carrier);
    await checkFrames(
      cells.filter(({ isWrong }) => !isWrong),
      ...probes,
    );
    await checkNothingPasses(
      cells.filter(({ isWrong }) => isWrong),
      ...probes,
    );
    for (const { title, ids, toB, cookie, cookies, sublayer, sequencing, isWrong } of cells) {
      const common = { title, carrier, sublayer, sequencing };
      const shorter = shorterBy(cookies, "b");
      expected.push(expectedOf({ ...common, from: "a", sessionId: ids[1], cookie: toB, shorter }));
      if (!isWrong) expected.push(expectedOf({ ...common, from: "b", sessionId: ids[0], cookie }));
    }
  }
  await capture.finish("static", expected);
  for (const probe of probes) await probe.end();
  const { tunnels } = await daemon.show();
  const counted = tunnels.flatMap(({ sessions }) => sessions).map(({ counters }) => counters.receive_errors);
  const wanted = STATIC.map(({ isWrong }) => (isWrong ? FRAMES : 0));
  equal("F11 static: show counts the wrong cookies as errors, and nothing else", counted, wanted);
  equal("static: SIGTERM ends it with 0", (await daemon.stop()).end, 0);
  matches("static: nothing is left", leftIn(sites.a), /^$/);
});
