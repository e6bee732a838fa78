import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { encodeDataHeader, putSequence } from "../../src/kernel/data-header.ts";
import type { SessionRequest } from "../../src/kernel/datapath.ts";
import { probeUserspace } from "../../src/kernel/tap.ts";
import { until } from "../support/daemon-process.ts";
import { Link, NetworkNamespace, namespacesMissing } from "../support/namespaces.ts";
import { PLAIN_SESSION } from "../support/session-request.ts";
import { UserspaceSite } from "../support/userspace-site.ts";

const SCRIPT = fileURLToPath(new URL("../../dist/bench/userspace-site.js", import.meta.url));
const ADDRESSES = ["192.0.2.1", "192.0.2.2"] as const;
/** Of the relay, in the first namespace: towards the first site, towards the second. */
const RELAY_PORTS = [1801, 1802] as const;
const SESSION_IDS = [1, 2] as const;
const FRAME_OCTETS = 60;
const SUBLAYER_OCTETS = 4;
const cookie = (size: number, first: number) => Uint8Array.from({ length: size }, (_, index) => first + index);

/**
 * A relay that holds each datagram of the first site back for 0 to 12 ms, loses one in `loss` and repeats one in 20, as a
 * small generator of pseudo-random numbers says: JavaScript for `node -e`.
 */
const RELAY = `
const { createSocket } = require("node:dgram");
const loss = Number(process.argv[1]);
let seed = 42;
const random = (below) => { seed = (seed * 1103515245 + 12345) & 0x7fffffff; return (seed >> 8) % below; };
const [left, right] = [createSocket("udp4"), createSocket("udp4")];
left.bind(${RELAY_PORTS[0]}, "${ADDRESSES[0]}");
right.bind(${RELAY_PORTS[1]}, "${ADDRESSES[0]}", () => console.log("ready"));
left.on("message", (octets) => {
  const pass = () => right.send(octets, 1701, "${ADDRESSES[1]}");
  if (loss > 0 && random(loss) === 0) return;
  setTimeout(pass, random(13));
  if (random(20) === 0) setTimeout(pass, random(13));
});
right.on("message", (octets) => left.send(octets, 1701, "${ADDRESSES[0]}"));
`;

function missing(): string | undefined {
  const probe = probeUserspace();
  if (!probe.available) return probe.reason;
  return namespacesMissing() ?? (existsSync(SCRIPT) ? undefined : `needs ${SCRIPT}: npm run build`);
}

const reason = missing();

/** An Ethernet frame of the experimental type 0x88b5 that says a number. */
function frame(number: number): Uint8Array {
  const octets = new Uint8Array(FRAME_OCTETS);
  octets.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5, number >>> 8, number]);
  return octets;
}

const isOurs = (octets: Uint8Array) => octets[12] === 0x88 && octets[13] === 0xb5;
const numberOf = (octets: Uint8Array) => ((octets[14] as number) << 8) + (octets[15] as number);

describe.skipIf(reason !== undefined)(
  `sequencing in userspace${reason === undefined ? "" : ` (skipped: ${reason})`}`,
  () => {
    let sites: readonly [UserspaceSite, UserspaceSite];
    let namespaces: readonly [NetworkNamespace, NetworkNamespace];

    beforeEach(() => {
      namespaces = [new NetworkNamespace(), new NetworkNamespace()];
      new Link(...namespaces, { device: "wan", addresses: [`${ADDRESSES[0]}/24`, `${ADDRESSES[1]}/24`] });
      sites = [new UserspaceSite(namespaces[0], SCRIPT), new UserspaceSite(namespaces[1], SCRIPT)];
    });

    afterEach(() => {
      for (const namespace of namespaces) namespace.remove();
    });

    async function connect(ports: readonly [number, number], addresses: readonly [string, string]): Promise<void> {
      for (const side of [0, 1] as const) {
        const remote = { address: addresses[side], port: ports[side] };
        await sites[side].call("openSocket", 1, { address: ADDRESSES[side], port: 1701 }, remote);
        await sites[side].call("createTunnel", 1);
      }
    }

    const connectDirectly = () => connect([1701, 1701], [ADDRESSES[1], ADDRESSES[0]]);

    async function raise(side: 0 | 1, changes: Partial<SessionRequest>): Promise<void> {
      const [localSessionId, remoteSessionId] = [SESSION_IDS[side], SESSION_IDS[1 - side] as number];
      const ids = { localControlConnectionId: 1, localSessionId, remoteSessionId };
      await sites[side].call("createSession", { ...PLAIN_SESSION, ...ids, interfaceName: "pw0", ...changes });
      await sites[side].call("raiseSession", localSessionId);
      await sites[side].call("capture", "pw0");
    }

    /** The numbers of the frames that come out, as soon as there are so many. */
    async function numbers(side: 0 | 1, count: number): Promise<number[]> {
      const kept: number[] = [];
      await until(`${count} frames at side ${side}`, 10_000, async () => {
        kept.push(...(await sites[side].call("capturedFrames", "pw0")).filter(isOurs).map(numberOf));
        return kept.length >= count;
      });
      return kept;
    }

    async function counters(side: 0 | 1) {
      const [found] = await sites[side].call("counters");
      if (found === undefined) throw new Error("no session");
      return found;
    }

    const COOKIES = ([0, 4, 8] as const).flatMap((one) => ([0, 4, 8] as const).map((other) => [one, other] as const));
    const LAYERS = [
      ["none", "none", false],
      ["default", "none", false],
      ["default", "non-ip", true],
      ["default", "all", true],
    ] as const;
    const MATRIX = COOKIES.flatMap((sizes) => LAYERS.map((layers) => [...sizes, ...layers] as const));

    type Layers = (typeof LAYERS)[number];

    /** Three frames from a site: each comes out, behind the header that it has to have. */
    async function checkWay(side: 0 | 1, receiverCookie: Uint8Array, layers: Layers, title: string): Promise<void> {
      const [l2Sublayer, , sendSequencing] = layers;
      const peer = side === 0 ? 1 : 0;
      const headerLength = 8 + receiverCookie.length + (l2Sublayer === "none" ? 0 : SUBLAYER_OCTETS);
      const header = Buffer.from(encodeDataHeader(SESSION_IDS[peer], { cookie: receiverCookie, l2Sublayer }));
      await sites[peer].call("capturedFrames", "wan");
      // One by one: the capture would show several in one piece.
      for (const number of [7, 8, 9]) {
        await sites[side].call("sendFrame", "pw0", frame(number));
        expect(await numbers(peer, 1), title).toEqual([number]);
      }
      const onWire = (await sites[peer].call("capturedFrames", "wan"))
        .map((octets) => Buffer.from(octets.subarray(14 + 20 + 8)))
        .filter((datagram) => isOurs(datagram.subarray(headerLength)));
      expect(onWire, title).toHaveLength(3);
      const expected = (index: number) => {
        const first = (onWire[0] as Buffer).readUIntBE(headerLength - 3, 3);
        if (sendSequencing) putSequence(header, 0, headerLength, first + index);
        return header.toString("hex");
      };
      for (const [index, datagram] of onWire.entries()) {
        expect(datagram.toString("hex", 0, headerLength), title).toBe(expected(index));
      }
    }

    test("F14 F15 F40 every pair of cookies, with and without sublayer and sequencing, both ways", async () => {
      await connectDirectly();
      for (const side of [0, 1] as const) await sites[side].call("capture", "wan");
      for (const [here, there, ...layers] of MATRIX) {
        const [l2Sublayer, receiveSequencing, sendSequencing] = layers;
        const title = JSON.stringify([here, there, ...layers]);
        const cookies = [cookie(here, 0xa0), cookie(there, 0xb0)] as const;
        for (const side of [0, 1] as const) {
          const [localCookie, remoteCookie] = [cookies[side], cookies[1 - side] as Uint8Array];
          await raise(side, { localCookie, remoteCookie, l2Sublayer, receiveSequencing, sendSequencing });
        }
        await checkWay(0, cookies[1], layers, title);
        await checkWay(1, cookies[0], layers, title);
        for (const side of [0, 1] as const) {
          expect(await counters(side), title).toMatchObject({ receiveErrors: 0, sequenceDiscards: 0 });
          await sites[side].call("deleteSession", SESSION_IDS[side]);
        }
      }
    }, 120_000);

    async function connectThroughRelay(loss: number): Promise<void> {
      const relay = namespaces[0].spawn(process.execPath, ["-e", RELAY, String(loss)], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      await new Promise((resolve) => relay.stdout?.once("data", resolve));
      await connect(RELAY_PORTS, [ADDRESSES[0], ADDRESSES[0]]);
    }

    const SEQUENCED = { l2Sublayer: "default", sendSequencing: true, receiveSequencing: "all" } as const;
    const COUNT = 400;

    /** What comes out of a site meanwhile and, as soon as it is so much, afterwards: a capture keeps some hundred frames. */
    async function sendMany(least = COUNT): Promise<number[]> {
      const found: number[] = [];
      for (let number = 0; number < COUNT; number++) {
        await sites[0].call("sendFrame", "pw0", frame(number));
        if (number % 50 === 49) found.push(...(await numbers(1, 0)));
      }
      return [...found, ...(await numbers(1, least - found.length))];
    }

    test("F17 a link that puts frames out of order and repeats them: all come out, in order, once", async () => {
      await connectThroughRelay(0);
      await raise(0, SEQUENCED);
      await raise(1, { ...SEQUENCED, reorderTimeoutMs: 500, resyncAfter: 1_000 });
      expect(await sendMany()).toEqual(Array.from({ length: COUNT }, (_, index) => index));
      const { receivedPackets, sequenceDiscards } = await counters(1);
      expect(receivedPackets).toBeGreaterThanOrEqual(COUNT);
      expect(sequenceDiscards).toBeGreaterThan(0);
    }, 60_000);

    test("F15 without sequencing the same link delivers them as they come", async () => {
      await connectThroughRelay(0);
      await raise(0, { l2Sublayer: "default" });
      await raise(1, { l2Sublayer: "default" });
      const found = await sendMany();
      expect(found).not.toEqual([...found].sort((one, other) => one - other));
    }, 60_000);

    test("F17 one that loses frames, too: the rest comes out in order, and no loss blocks it", async () => {
      await connectThroughRelay(10);
      await raise(0, SEQUENCED);
      await raise(1, { ...SEQUENCED, reorderTimeoutMs: 100, resyncAfter: 1_000 });
      const found = await sendMany(COUNT * 0.8);
      expect(found).toEqual([...found].sort((one, other) => one - other));
      expect(new Set(found).size).toBe(found.length);
      expect(found.length).toBeLessThan(COUNT);
    }, 60_000);

    describe("single datagrams", () => {
      /** From the first site's socket, with a sublayer of four octets as given. */
      async function send(sublayer: readonly number[], number: number): Promise<void> {
        const header = encodeDataHeader(SESSION_IDS[1], { cookie: new Uint8Array(0), l2Sublayer: "none" });
        await sites[0].call("sendDatagram", 1, Buffer.concat([header, Uint8Array.from(sublayer), frame(number)]));
      }

      test("F14 F43 I17 a packet with the V bit is no frame, and counted; without S any number will do", async () => {
        await connectDirectly();
        await raise(1, { l2Sublayer: "default", receiveSequencing: "non-ip" });
        await send([0xc0, 0, 0, 0], 1);
        await send([0x80, 0, 0, 0], 2);
        await send([0x00, 0xff, 0xff, 0xff], 3);
        await send([0x3f, 0x12, 0x34, 0x56], 4);
        await send([0x40, 0, 0, 0], 5);
        await send([0x00, 0, 0, 7], 6);
        expect(await numbers(1, 4)).toEqual([3, 4, 5, 6]);
        expect(await counters(1)).toMatchObject({ receiveErrors: 2, sequenceDiscards: 0 });
      });

      test("F46 asked for all: a frame without a sequence number is discarded", async () => {
        await connectDirectly();
        await raise(1, { ...SEQUENCED });
        await send([0x00, 0, 0, 0], 1);
        await send([0x40, 0, 0, 0], 2);
        expect(await numbers(1, 1)).toEqual([2]);
        expect(await counters(1)).toMatchObject({ receiveErrors: 1, sequenceDiscards: 1 });
      });

      test("F15 F16 F17 old numbers, a timeout, and a peer that begins anew", async () => {
        await connectDirectly();
        await raise(1, { ...SEQUENCED, reorderTimeoutMs: 30, resyncAfter: 3 });
        for (let number = 0; number < 5; number++) await send([0x40, 0, 0, number], number);
        // 5 is lost: 6 and 7 come out when they have waited, without anything else that would wake the thread.
        await send([0x40, 0, 0, 7], 7);
        await send([0x40, 0, 0, 6], 6);
        expect(await numbers(1, 7)).toEqual([0, 1, 2, 3, 4, 6, 7]);
        await send([0x40, 0, 0, 5], 5);
        for (let number = 0; number < 6; number++) await send([0x40, 0, 0, number], 100 + number);
        expect(await numbers(1, 4)).toEqual([102, 103, 104, 105]);
        expect(await counters(1)).toMatchObject({ sequenceDiscards: 3, receivedPackets: 11 });
      });
    });
  },
);
