import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { dataHeaderLength, encodeDataHeader } from "../../src/kernel/data-header.ts";
import type { SessionRequest } from "../../src/kernel/datapath.ts";
import { probeUserspace } from "../../src/kernel/tap.ts";
import { until } from "../support/daemon-process.ts";
import { Link, NetworkNamespace, namespacesMissing } from "../support/namespaces.ts";
import { PLAIN_SESSION } from "../support/session-request.ts";
import { SiteRefusal, UserspaceSite } from "../support/userspace-site.ts";

const SCRIPT = fileURLToPath(new URL("../../dist/bench/userspace-site.js", import.meta.url));
const ADDRESSES = ["192.0.2.1", "192.0.2.2"] as const;
const NONE = new Uint8Array(0);
const COOKIE = Uint8Array.of(0xc0, 1, 2, 3, 4, 5, 6, 7);
/** The fixed numbers of the pseudowire that `makeSession` makes, by side. One is above 2^31. */
const SESSION_IDS = [0x8000_0001, 2] as const;

function missing(): string | undefined {
  const probe = probeUserspace();
  if (!probe.available) return probe.reason;
  return namespacesMissing() ?? (existsSync(SCRIPT) ? undefined : `needs ${SCRIPT}: npm run build`);
}

const reason = missing();

/** An Ethernet frame of the experimental type 0x88b5, so that nothing else on the device looks like it. */
function frame(length: number, content: number): Uint8Array {
  const octets = new Uint8Array(length).fill(content);
  octets.set([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5]);
  return octets;
}

function isOurs(octets: Uint8Array): boolean {
  return octets[12] === 0x88 && octets[13] === 0xb5;
}

function dataMessage(remoteSessionId: number, cookie: Uint8Array, payload: Uint8Array): Uint8Array {
  return Buffer.concat([encodeDataHeader(remoteSessionId, { cookie, l2Sublayer: "none" }), payload]);
}

describe.skipIf(reason !== undefined)(
  `userspace datapath${reason === undefined ? "" : ` (skipped: ${reason})`}`,
  () => {
    let sites: readonly [UserspaceSite, UserspaceSite];
    let namespaces: readonly [NetworkNamespace, NetworkNamespace];

    beforeEach(async () => {
      namespaces = [new NetworkNamespace(), new NetworkNamespace()];
      new Link(...namespaces, { device: "wan", addresses: [`${ADDRESSES[0]}/24`, `${ADDRESSES[1]}/24`] });
      sites = [new UserspaceSite(namespaces[0], SCRIPT), new UserspaceSite(namespaces[1], SCRIPT)];
      for (const side of [0, 1] as const) {
        const [local, remote] = [ADDRESSES[side], ADDRESSES[1 - side] as string];
        await sites[side].call("openSocket", 1, { address: local, port: 1701 }, { address: remote, port: 1701 });
        await sites[side].call("createTunnel", 1);
      }
    });

    afterEach(() => {
      for (const namespace of namespaces) namespace.remove();
    });

    function request(side: 0 | 1, changes: Partial<SessionRequest> = {}): SessionRequest {
      return {
        localControlConnectionId: 1,
        localSessionId: SESSION_IDS[side],
        remoteSessionId: SESSION_IDS[1 - side] as number,
        ...PLAIN_SESSION,
        interfaceName: "pw0",
        ...changes,
      };
    }

    async function raise(side: 0 | 1, changes: Partial<SessionRequest> = {}): Promise<void> {
      await sites[side].call("createSession", request(side, changes));
      await sites[side].call("raiseSession", SESSION_IDS[side]);
      await sites[side].call("capture", "pw0");
    }

    async function frames(side: 0 | 1, count: number): Promise<readonly Uint8Array[]> {
      const kept: Uint8Array[] = [];
      await until(`${count} frames at side ${side}`, 5_000, async () => {
        kept.push(...(await sites[side].call("capturedFrames", "pw0")).filter(isOurs));
        return kept.length >= count;
      });
      return kept;
    }

    async function onlyCounters(side: 0 | 1) {
      const [counters] = await sites[side].call("counters");
      if (counters === undefined) throw new Error("no session");
      return counters;
    }

    /** Waits for a datagram sent behind all others: whatever they did is done by then. */
    async function settled(side: 0 | 1): Promise<void> {
      const mark = Uint8Array.of(0xc8, 3, 0, 12, 0, 0, 0, 1, sites[side].controlDatagrams.length, 9, 9, 9);
      await sites[side === 0 ? 1 : 0].call("sendDatagram", 1, mark);
      await until("the mark", 5_000, () =>
        sites[side].controlDatagrams.some((octets) => Buffer.from(mark).equals(octets)),
      );
    }

    test.each([
      ["no cookie", { localCookie: NONE, remoteCookie: NONE }],
      ["cookies of 4 and 8 octets", { localCookie: COOKIE.subarray(0, 4), remoteCookie: COOKIE }],
      ["cookie and sublayer", { localCookie: COOKIE, remoteCookie: COOKIE, l2Sublayer: "default" }],
    ] as const)("F05: frames cross both ways, octet for octet: %s", async (_, layout) => {
      await raise(0, layout);
      await raise(1, { ...layout, localCookie: layout.remoteCookie, remoteCookie: layout.localCookie });
      const lengths = [60, 61, 1_400, 1_400, 1_400, 1_000, 64];
      for (const side of [0, 1] as const) {
        const sent = lengths.map((length, index) => frame(length, index + 16 * side));
        for (const octets of sent) await sites[side].call("sendFrame", "pw0", octets);
        const received = await frames(side === 0 ? 1 : 0, sent.length);
        expect(received.map((octets) => Buffer.from(octets).toString("hex"))).toEqual(
          sent.map((octets) => Buffer.from(octets).toString("hex")),
        );
      }
      const [packets, octets] = [lengths.length, lengths.reduce((sum, length) => sum + length)];
      for (const side of [0, 1] as const) {
        expect(await onlyCounters(side)).toEqual({
          localControlConnectionId: 1,
          localSessionId: SESSION_IDS[side],
          receivedPackets: packets,
          receivedOctets: octets,
          receiveErrors: 0,
          sequenceDiscards: 0,
          cookieDiscards: 0,
          sentPackets: packets,
          sentOctets: octets,
          sendErrors: 0,
        });
      }
    });

    test("a frame longer than the path goes through in fragments, also amid others", async () => {
      await raise(0, { mtu: 4_000 });
      await raise(1, { mtu: 4_000 });
      const sent = [frame(1_000, 1), frame(4_000, 2), frame(4_000, 3), frame(4_000, 4), frame(900, 5), frame(1_450, 6)];
      for (const octets of sent) await sites[0].call("sendFrame", "pw0", octets);
      expect((await frames(1, sent.length)).map((octets) => [octets.length, octets[100]])).toEqual(
        sent.map((octets) => [octets.length, octets[100]]),
      );
      expect(await onlyCounters(0)).toMatchObject({ sendErrors: 0 });
    });

    test("F11: a wrong cookie is dropped and counted as a receive error", async () => {
      await raise(0, { localCookie: COOKIE, remoteCookie: COOKIE });
      const wrong = Uint8Array.from(COOKIE, (octet, index) => (index === 7 ? octet ^ 1 : octet));
      await sites[1].call("sendDatagram", 1, dataMessage(SESSION_IDS[0], wrong, frame(60, 1)));
      await sites[1].call("sendDatagram", 1, dataMessage(SESSION_IDS[0], COOKIE.subarray(0, 4), new Uint8Array(0)));
      await settled(0);
      expect(await onlyCounters(0)).toMatchObject({ receivedPackets: 0, receiveErrors: 2, cookieDiscards: 1 });
      await sites[1].call("sendDatagram", 1, dataMessage(SESSION_IDS[0], COOKIE, frame(60, 2)));
      expect((await frames(0, 1)).map((octets) => octets[20])).toEqual([2]);
      expect(await onlyCounters(0)).toMatchObject({ receivedPackets: 1, receivedOctets: 60, receiveErrors: 2 });
    });

    test("F11, F07: unknown Session IDs, other versions and runts are dropped and counted", async () => {
      await raise(0);
      const nobodys = [
        dataMessage(77, NONE, frame(60, 1)),
        dataMessage(0, NONE, frame(60, 1)),
        Buffer.from("0002000000000001", "hex"),
        Buffer.from("00030000", "hex"),
        Buffer.from("00", "hex"),
        Buffer.from("c802000c0000000100000000", "hex"),
        Buffer.from("c803000b00000001000000", "hex"),
      ];
      for (const octets of nobodys) await sites[1].call("sendDatagram", 1, octets);
      // No Ethernet frame, though it is the session's.
      await sites[1].call("sendDatagram", 1, dataMessage(SESSION_IDS[0], NONE, new Uint8Array(13)));
      await settled(0);
      expect(await sites[0].call("discarded")).toBe(nobodys.length);
      expect(await onlyCounters(0)).toMatchObject({ receivedPackets: 0, receiveErrors: 1 });
      expect((await sites[0].call("capturedFrames", "pw0")).filter(isOurs)).toEqual([]);
    });

    test("a session takes nothing that comes through another tunnel's socket", async () => {
      const [local, remote] = ADDRESSES;
      await sites[0].call("openSocket", 2, { address: local, port: 1702 }, { address: remote, port: 1702 });
      await sites[0].call("createTunnel", 2);
      await sites[1].call("openSocket", 2, { address: remote, port: 1702 }, { address: local, port: 1702 });
      await raise(0);
      await sites[1].call("sendDatagram", 2, dataMessage(SESSION_IDS[0], NONE, frame(60, 1)));
      await until("the datagram", 5_000, async () => (await sites[0].call("discarded")) === 1);
      expect(await onlyCounters(0)).toMatchObject({ receivedPackets: 0, receiveErrors: 0 });
    });

    test("control datagrams reach onControlDatagram whole, in order, and leave the data alone", async () => {
      await raise(0);
      // Equally long ones may come out of the kernel in one piece.
      const sent = Array.from({ length: 100 }, (_, index) =>
        Buffer.concat([Buffer.from("c8030014000000010000", "hex"), Buffer.alloc(index < 80 ? 10 : index, index)]),
      );
      for (const octets of sent) void sites[1].call("sendDatagram", 1, octets);
      await until("all of them", 5_000, () => sites[0].controlDatagrams.length >= sent.length);
      expect(sites[0].controlDatagrams.map((octets) => Buffer.from(octets).toString("hex"))).toEqual(
        sent.map((octets) => octets.toString("hex")),
      );
      expect(await sites[0].call("discarded")).toBe(0);
    });

    test("F13: nothing is delivered or sent before the session is raised", async () => {
      await sites[0].call("createSession", request(0));
      await raise(1);
      expect(namespaces[0].ip("-json", "link", "show", "pw0")).toContain('"operstate":"DOWN"');
      await sites[1].call("sendDatagram", 1, dataMessage(SESSION_IDS[0], NONE, frame(60, 1)));
      await settled(0);
      expect(await onlyCounters(0)).toMatchObject({ receivedPackets: 0, sentPackets: 0 });
      // Set up behind our back: frames wait in the device.
      namespaces[0].ip("link", "set", "pw0", "up");
      await sites[0].call("capture", "pw0");
      await sites[0].call("sendFrame", "pw0", frame(60, 3));
      await settled(0);
      expect(await onlyCounters(0)).toMatchObject({ receivedPackets: 0, sentPackets: 0 });
      await sites[0].call("raiseSession", SESSION_IDS[0]);
      expect((await frames(1, 1)).map((octets) => octets[20])).toEqual([3]);
    });

    test("H06: a session that is lowered carries nothing either way until it is raised again, with its addresses", async () => {
      namespaces[0].write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "0");
      const shown = () => namespaces[0].ip("address", "show", "dev", "pw0");
      const whole = /[<,]UP[,>].* 10\.77\.0\.1\/30 .* 2001:db8::1\/64 /s;
      await raise(0, { addresses: ["10.77.0.1/30", "2001:db8::1/64"] });
      await raise(1);
      expect(shown()).toMatch(whole);
      await sites[0].call("lowerSession", SESSION_IDS[0]);
      expect(shown()).not.toMatch(/[<,]UP[,>]/);
      const before = await onlyCounters(0);
      await sites[1].call("sendDatagram", 1, dataMessage(SESSION_IDS[0], NONE, frame(60, 1)));
      await settled(0);
      expect(await onlyCounters(0)).toMatchObject({
        receivedPackets: before.receivedPackets,
        receiveErrors: before.receiveErrors + 1,
        sentPackets: before.sentPackets,
      });
      // Set up behind our back it has no way out either.
      namespaces[0].ip("link", "set", "pw0", "up");
      await sites[0].call("capture", "pw0");
      await sites[0].call("sendFrame", "pw0", frame(60, 2));
      await settled(1);
      expect((await onlyCounters(0)).sentPackets).toBe(before.sentPackets);
      // Lowered once more: what waited in the device does not come out late.
      await sites[0].call("lowerSession", SESSION_IDS[0]);
      await sites[0].call("raiseSession", SESSION_IDS[0]);
      expect(shown()).toMatch(whole);
      await sites[0].call("capture", "pw0");
      await sites[0].call("sendFrame", "pw0", frame(60, 3));
      expect((await frames(1, 1)).map((octets) => octets[20])).toEqual([3]);
      await sites[1].call("sendFrame", "pw0", frame(60, 4));
      expect((await frames(0, 1)).map((octets) => octets[20])).toEqual([4]);
    });

    test("MTU, bridge and addresses are those asked for; auto is the path's less all headers", async () => {
      namespaces[0].ip("link", "add", "br0", "type", "bridge");
      namespaces[0].write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "0");
      await raise(0, { remoteCookie: COOKIE, bridge: "br0", addresses: ["10.77.0.1/30", "2001:db8::1/64"] });
      const [link] = JSON.parse(namespaces[0].ip("-json", "address", "show", "dev", "pw0"));
      const layout = { cookie: COOKIE, l2Sublayer: "none" } as const;
      expect(link).toMatchObject({ mtu: 1_500 - 20 - 8 - 14 - dataHeaderLength(layout), master: "br0" });
      expect(link.flags).toContain("UP");
      await raise(1, { mtu: 1_234, addresses: ["10.77.0.2/30"] });
      const [other] = JSON.parse(namespaces[1].ip("-json", "address", "show", "dev", "pw0"));
      expect(other.mtu).toBe(1_234);
      expect(other.addr_info).toMatchObject([{ local: "10.77.0.2", prefixlen: 30 }]);
    });

    test("a bridge that does not exist is refused by name, and the device goes", async () => {
      const refused = sites[0].call("createSession", request(0, { bridge: "br9" }));
      await expect(refused).rejects.toMatchObject({ errno: "ENODEV", message: expect.stringContaining("br9") });
      expect(namespaces[0].devices()).toEqual(["wan"]);
    });

    test("a name that is taken is refused with EEXIST, even a persistent TAP's, which stays as it was", async () => {
      namespaces[0].ip("tuntap", "add", "dev", "pw0", "mode", "tap");
      for (const interfaceName of ["pw0", "wan"]) {
        const refused = sites[0].call("createSession", request(0, { interfaceName }));
        await expect(refused).rejects.toMatchObject({
          errno: "EEXIST",
          message: expect.stringContaining(interfaceName),
        });
      }
      expect([...namespaces[0].devices()].sort()).toEqual(["pw0", "wan"]);
      await sites[0].call("createSession", request(0, { interfaceName: "pw1" }));
      expect(namespaces[0].devices()).toContain("pw1");
    });

    test("refusals: no tunnel, no session, a tunnel or session made twice, a session that is not there", async () => {
      const nowhere = sites[0].call("createSession", request(0, { localControlConnectionId: 9 }));
      await expect(nowhere).rejects.toMatchObject({ errno: "ENODEV" });
      for (const flawed of [
        { localSessionId: 0 },
        { remoteCookie: COOKIE.subarray(0, 5) },
        { interfaceName: "pw%d" },
      ]) {
        await expect(sites[0].call("createSession", request(0, flawed))).rejects.toMatchObject({ errno: "EINVAL" });
      }
      await expect(sites[0].call("raiseSession", 5)).rejects.toMatchObject({ errno: "ENODEV" });
      await expect(sites[0].call("createTunnel", 1)).rejects.toMatchObject({ errno: "EEXIST" });
      await sites[0].call("createSession", request(0));
      const twice = sites[0].call("createSession", request(0, { interfaceName: "pw1" }));
      await expect(twice).rejects.toMatchObject({ errno: "EEXIST" });
      await sites[0].call("deleteSession", 5);
      await sites[0].call("deleteTunnel", 9);
      expect([...namespaces[0].devices()].sort()).toEqual(["pw0", "wan"]);
    });

    test("requests are carried out in the order of the calls, and a name can be used again at once", async () => {
      const site = sites[0];
      await Promise.all([
        site.call("createSession", request(0)),
        site.call("raiseSession", SESSION_IDS[0]),
        site.call("deleteSession", SESSION_IDS[0]),
        site.call("createSession", request(0, { localSessionId: 3 })),
        site.call("deleteTunnel", 1),
        site.call("createTunnel", 1),
        site.call("createSession", request(0, { localSessionId: 4 })),
        ...(["raiseSession", "lowerSession", "lowerSession", "raiseSession"] as const).map((call) =>
          site.call(call, 4),
        ),
      ]);
      expect(namespaces[0].ip("link", "show", "pw0")).toContain("UP");
      expect((await site.call("counters")).map((counters) => counters.localSessionId)).toEqual([4]);
      const gone = [site.call("lowerSession", 4), site.call("deleteSession", 4), site.call("lowerSession", 4)];
      expect((await Promise.allSettled(gone)).map(({ status }) => status)).toEqual([
        "fulfilled",
        "fulfilled",
        "rejected",
      ]);
      await expect(gone[2]).rejects.toMatchObject({ errno: "ENODEV" });
    });

    test("a device that somebody removes is told, and its session can be made anew", async () => {
      await raise(0);
      namespaces[0].ip("link", "delete", "pw0");
      await until("the news", 5_000, () => sites[0].troubles.length > 0);
      expect(sites[0].troubles).toEqual([
        // Forwarder and keeper both hear of it: the first to do so tells.
        expect.stringMatching(new RegExp(`^session ${SESSION_IDS[0]}: .*pw0 (was removed|is gone)`)),
      ]);
      await sites[0].call("deleteSession", SESSION_IDS[0]);
      await raise(0);
      expect(namespaces[0].devices()).toContain("pw0");
    });

    test("an ICMP answer is no end: when the peer comes back, frames cross again", async () => {
      await raise(0);
      await sites[1].kill("SIGKILL");
      for (let index = 0; index < 5; index++) {
        await sites[0].call("sendFrame", "pw0", frame(60, index));
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      const { sentPackets, sendErrors } = await onlyCounters(0);
      expect(sentPackets + sendErrors).toBe(5);
      const peer = new UserspaceSite(namespaces[1], SCRIPT);
      await peer.call("openSocket", 1, { address: ADDRESSES[1], port: 1701 }, { address: ADDRESSES[0], port: 1701 });
      await peer.call("createTunnel", 1);
      await peer.call("createSession", request(1));
      await peer.call("raiseSession", SESSION_IDS[1]);
      // An answer to an earlier frame must not cost this one.
      await sites[0].call("sendFrame", "pw0", frame(60, 9));
      await until("the frame", 5_000, async () => (await peer.call("counters"))[0]?.receivedPackets === 1);
    });

    test("an idle datapath uses no processor time", async () => {
      await raise(0);
      await settled(0);
      const before = await sites[0].call("processorTime");
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      // Microseconds. Turning round and round would use a million.
      expect((await sites[0].call("processorTime")) - before).toBeLessThan(100_000);
    });

    test("close leaves no device and ends within a second, under traffic", async () => {
      await raise(0);
      await raise(1);
      for (let index = 0; index < 60; index++) {
        const more = { interfaceName: `more${index}`, localSessionId: 100 + index };
        await sites[0].call("createSession", request(0, more));
      }
      for (let index = 0; index < 200; index++) void sites[1].call("sendFrame", "pw0", frame(1_400, index));
      const start = performance.now();
      await sites[0].call("close");
      expect(performance.now() - start).toBeLessThan(1_000);
      expect(namespaces[0].devices()).toEqual(["wan"]);
      await expect(sites[0].call("createTunnel", 1)).rejects.toMatchObject({ errno: "ESHUTDOWN" });
    });

    test.each(["SIGKILL", "SIGTERM"] as const)("%s leaves no device", async (signal) => {
      await raise(0);
      expect(namespaces[0].devices()).toContain("pw0");
      await sites[0].kill(signal);
      await until("the device is gone", 5_000, () => !namespaces[0].devices().includes("pw0"));
    });

    test("process.exit does not wait for the forwarding thread", async () => {
      await raise(0);
      const start = performance.now();
      void sites[0].call("exit").catch(() => {});
      await sites[0].ended();
      // Its poll would return after a second.
      expect(performance.now() - start).toBeLessThan(900);
      await until("the device is gone", 5_000, () => !namespaces[0].devices().includes("pw0"));
    });

    test("when the forwarding thread fails its tunnels are lost, the devices go, and the next tunnel works", async () => {
      await raise(0);
      await raise(1);
      // The type checker keeps everyone else from this: the thread trips over it.
      const broken: object = { ...request(0, { localSessionId: 9, interfaceName: "pw9" }), bridge: 42 };
      const outstanding = sites[0].call("createSession", broken as SessionRequest);
      const behind = sites[0].call("raiseSession", SESSION_IDS[0]);
      await expect(outstanding).rejects.toBeInstanceOf(SiteRefusal);
      await expect(outstanding).rejects.toMatchObject({ errno: "EIO" });
      await expect(behind).rejects.toMatchObject({ errno: "ENODEV" });
      expect(sites[0].troubles).toEqual([expect.stringMatching(/^tunnel 1: .*forwarding thread/)]);
      expect(await sites[0].call("counters")).toEqual([]);
      await until("the devices are gone", 5_000, () => namespaces[0].devices().length === 1);
      await sites[0].call("createTunnel", 1);
      await raise(0);
      await sites[1].call("sendFrame", "pw0", frame(60, 5));
      expect((await frames(0, 1)).map((octets) => octets[20])).toEqual([5]);
      await sites[0].call("close");
      expect(sites[0].troubles.length).toBe(1);
      expect(namespaces[0].devices()).toEqual(["wan"]);
    });

    test("a socket that is given back has none of its control datagrams lost or joined", async () => {
      const sent = Array.from({ length: 200 }, (_, index) =>
        Buffer.concat([Buffer.from("c8030014000000010000", "hex"), Buffer.alloc(10, index)]),
      );
      const calls = sent.map((octets) => sites[1].call("sendDatagram", 1, octets));
      await calls[100];
      await sites[0].call("deleteTunnel", 1);
      await Promise.all(calls);
      await sites[0].call("createTunnel", 1);
      await until("all of them", 5_000, () => sites[0].controlDatagrams.length >= sent.length);
      expect(sites[0].controlDatagrams.map((octets) => Buffer.from(octets).toString("hex"))).toEqual(
        sent.map((octets) => octets.toString("hex")),
      );
    });
  },
);
