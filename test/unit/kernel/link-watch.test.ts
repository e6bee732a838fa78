import { beforeEach, describe, expect, test } from "vitest";
import { decodeLinkNews, linkQuestion } from "../../../src/kernel/link-news.ts";
import { LinkWatch } from "../../../src/kernel/link-watch.ts";
import { encodeAttributes, type NetlinkReply, octets, text } from "../../../src/kernel/netlink-messages.ts";

const NEWLINK = 16;
const DELLINK = 17;
const UP = 0x1;
const CARRIER = 0x1_0000;
const OUR_PORT = 4711;

interface LinkMessage {
  readonly name?: string;
  readonly index?: number;
  readonly flags?: number;
  readonly family?: number;
  /** Value by place in struct rtnl_link_stats64. */
  readonly statistics?: Readonly<Record<number, bigint>>;
}

/** The body of a message: struct ifinfomsg, IFLA_IFNAME, IFLA_STATS64. */
function body({ name = "eth1", index = 5, flags = UP | CARRIER, family = 0, statistics = {} }: LinkMessage): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt8(family, 0);
  header.writeInt32LE(index, 4);
  header.writeUInt32LE(flags, 8);
  const counters = Buffer.alloc(25 * 8);
  for (const [place, value] of Object.entries(statistics)) counters.writeBigUInt64LE(value, Number(place) * 8);
  const table = { name: [3, text], statistics: [23, octets] } as const;
  return Buffer.concat([header, encodeAttributes(table, { name, statistics: counters })]);
}

let watch: LinkWatch;
let told: string[];
/** Names asked for, with their numbers. */
let asked: [string, number][];

function follow(...names: string[]): void {
  told = [];
  asked = [];
  watch = new LinkWatch(names, {
    events: {
      condition: (name, condition) => told.push(`${name} ${condition}`),
      errors: (name, errors) => told.push(`${name} ${Object.values(errors).join("/")}`),
      ready: () => told.push("ready"),
    },
    send(requests, sequence) {
      for (const [i, request] of requests.entries()) {
        const name = Buffer.concat(request.payload).subarray(20).toString().replace(/\0.*$/s, "");
        asked.push([name, sequence + i]);
      }
    },
  });
  watch.refresh();
}

function message(link: LinkMessage, more: { type?: number; port?: number; sequence?: number } = {}): NetlinkReply {
  return { kind: "message", type: NEWLINK, port: 0, sequence: 0, ...more, octets: body(link) };
}

/** The answers to all questions that are open: a link, or an error number. */
function answer(links: Readonly<Record<string, LinkMessage | number>>): void {
  const open = asked.splice(0);
  watch.take(
    open.map(([name, sequence]): NetlinkReply => {
      const link = links[name] ?? 19;
      if (typeof link === "number") return { kind: "end", sequence, errno: link, extendedAck: "" };
      return message({ name, ...link }, { port: OUR_PORT, sequence });
    }),
    OUR_PORT,
  );
}

/** News that nobody asked for; `port` and `sequence` are those of whoever caused it. */
function news(link: LinkMessage, more: { type?: number; port?: number; sequence?: number } = {}): void {
  watch.take([message(link, more)], OUR_PORT);
}

/** What was told since this was called last. */
const since = () => told.splice(0);

describe("messages", () => {
  test("an interface is asked for by its name alone, with its statistics", () => {
    const { type, flags, payload } = linkQuestion("eth1");
    expect([type, flags]).toEqual([18, 0]);
    expect(Buffer.concat(payload).toString("hex")).toBe(`${"00".repeat(16)}090003006574683100000000`);
  });

  test.each([
    ["up", UP | CARRIER | 0x1003],
    ["no-carrier", UP],
    ["down", 0],
    ["down", CARRIER],
  ])("%s: flags %i", (condition, flags) => {
    expect(decodeLinkNews(NEWLINK, body({ flags }))).toMatchObject({ type: "link", link: { condition } });
  });

  test("the counters are those of linux/if_link.h", () => {
    const statistics = Object.fromEntries(Array.from({ length: 25 }, (_, place) => [place, 10n ** BigInt(place % 12)]));
    statistics[14] = 7n;
    const link = decodeLinkNews(NEWLINK, body({ statistics }));
    expect(link).toMatchObject({
      link: {
        errors: { hardwareOverruns: 10 ** 11 + 7, bufferOverruns: 10 ** 3, timeouts: 10 ** 7, alignments: 10 },
      },
    });
  });

  test("a bridge's word about its ports, other messages and stumps are no news", () => {
    expect(decodeLinkNews(DELLINK, body({ family: 7 }))).toBeUndefined();
    expect(decodeLinkNews(20, body({}))).toBeUndefined();
    expect(decodeLinkNews(NEWLINK, Buffer.alloc(8))).toBeUndefined();
    expect(decodeLinkNews(NEWLINK, Buffer.alloc(0))).toBeUndefined();
    const bare = decodeLinkNews(NEWLINK, Buffer.alloc(16));
    expect(bare).toMatchObject({ link: { name: "", errors: { alignments: 0 } } });
  });
});

describe("one interface", () => {
  beforeEach(() => follow("eth1"));

  test("that is up at the start: nothing of its condition is told, its errors begin at 0", () => {
    expect(since()).toEqual([]);
    answer({ eth1: { statistics: { 13: 1000n } } });
    expect(since()).toEqual(["eth1 0/0/0/0", "ready"]);
  });

  test("that is down, has no carrier or does not exist at the start", () => {
    answer({ eth1: { flags: 0 } });
    expect(since()).toEqual(["eth1 down", "eth1 0/0/0/0", "ready"]);
    follow("eth1");
    answer({ eth1: { flags: UP } });
    expect(since()).toEqual(["eth1 no-carrier", "eth1 0/0/0/0", "ready"]);
    follow("eth1");
    answer({});
    expect(since()).toEqual(["eth1 down", "ready"]);
  });

  test("each change is told once", () => {
    answer({ eth1: {} });
    since();
    for (const flags of [UP, UP, 0, UP, UP | CARRIER, UP | CARRIER]) news({ flags });
    expect(since()).toEqual(["eth1 no-carrier", "eth1 down", "eth1 no-carrier", "eth1 up"]);
  });

  test("that is deleted and made anew", () => {
    answer({ eth1: { statistics: { 15: 4n } } });
    since();
    news({ statistics: { 15: 6n } });
    news({}, { type: DELLINK });
    news({ index: 9, flags: 0 });
    news({ index: 9, statistics: { 15: 5n } });
    // The old one's number means nothing any more.
    news({}, { type: DELLINK });
    expect(since()).toEqual(["eth1 0/2/0/0", "eth1 down", "eth1 up", "eth1 0/7/0/0"]);
  });

  test("that is renamed is gone; whoever gets its name takes its place", () => {
    answer({ eth1: {} });
    since();
    news({ name: "eth9" });
    expect(since()).toEqual(["eth1 down"]);
    news({ name: "eth9", flags: 0 });
    expect(since()).toEqual([]);
    news({ name: "eth1", index: 8 });
    expect(since()).toEqual(["eth1 up"]);
    news({ name: "eth9" }, { type: DELLINK });
    news({ name: "eth1", index: 8, flags: 0 });
    expect(since()).toEqual(["eth1 down"]);
  });

  test("followed by an alternative name", () => {
    answer({ eth1: { name: "enp3s0" } });
    since();
    news({ name: "enp3s0", flags: UP });
    news({ name: "enp3s0" }, { type: DELLINK });
    expect(since()).toEqual(["eth1 no-carrier", "eth1 down"]);
  });

  test("leaving a bridge is not being deleted", () => {
    answer({ eth1: {} });
    since();
    news({ family: 7 }, { type: DELLINK });
    news({ family: 7, flags: 0 });
    expect(since()).toEqual([]);
  });

  test("others' interfaces, and news that carries the number of one of our questions", () => {
    const [[, sequence] = ["", 0]] = asked;
    news({ name: "eth7", index: 7, flags: 0 }, { sequence, port: 12 });
    expect(since()).toEqual([]);
    answer({ eth1: {} });
    expect(since()).toEqual(["eth1 0/0/0/0", "ready"]);
  });

  test("errors are told as they grow, and wrap at 2^32; a counter that begins anew goes on", () => {
    answer({ eth1: { statistics: { 11: 10n, 14: 5n } } });
    since();
    news({ statistics: { 11: 12n, 14: 6n, 19: 1n } });
    news({ statistics: { 11: 12n, 14: 6n, 19: 1n } });
    expect(since()).toEqual(["eth1 3/0/1/0"]);
    news({ statistics: { 11: 12n + 2n ** 32n, 14: 6n, 19: 1n, 13: 2n ** 32n - 1n } });
    expect(since()).toEqual([`eth1 3/0/1/${2 ** 32 - 1}`]);
    news({ statistics: { 11: 2n, 14: 0n, 19: 0n, 13: 2n ** 32n } });
    expect(since()).toEqual(["eth1 5/0/1/0"]);
  });

  test("asked for anew it is as the answer says, whatever was missed", () => {
    answer({ eth1: {} });
    since();
    watch.refresh();
    answer({ eth1: { index: 12, flags: UP, statistics: { 13: 3n } } });
    expect(since()).toEqual(["eth1 no-carrier", "eth1 0/0/0/3"]);
    watch.refresh();
    answer({});
    expect(since()).toEqual(["eth1 down"]);
  });

  test("answers to what was asked before everything was asked anew count no more", () => {
    const old = asked.splice(0);
    watch.refresh();
    watch.take(
      old.map(([, sequence]) => ({ kind: "end", sequence, errno: 19, extendedAck: "" })),
      OUR_PORT,
    );
    expect(since()).toEqual([]);
    answer({ eth1: {} });
    expect(since()).toEqual(["eth1 0/0/0/0", "ready"]);
  });
});

test("many interfaces are asked for 64 at a time, and are ready when all have answered", () => {
  const names = Array.from({ length: 150 }, (_, i) => `eth${i}`);
  follow(...names);
  const counts: number[] = [];
  while (asked.length > 0) {
    counts.push(asked.length);
    expect(told).not.toContain("ready");
    answer(Object.fromEntries(asked.map(([name]) => [name, { index: 1000 + Number(name.slice(3)), flags: 0 }])));
  }
  expect(counts).toEqual([64, 64, 22]);
  expect(since().filter((line) => line.endsWith(" down"))).toEqual(names.map((name) => `${name} down`));
  watch.refresh();
  expect(asked.length).toBe(64);
});
