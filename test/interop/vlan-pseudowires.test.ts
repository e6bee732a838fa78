import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { encodeDataHeader } from "../../src/kernel/data-header.ts";
import { probeUserspace } from "../../src/kernel/tap.ts";
import { until } from "../support/daemon-process.ts";
import { Link, NetworkNamespace, namespacesMissing } from "../support/namespaces.ts";
import { PLAIN_SESSION } from "../support/session-request.ts";
import { type Site, TwoSites } from "../support/two-sites.ts";
import { UserspaceSite } from "../support/userspace-site.ts";

const SCRIPT = fileURLToPath(new URL("../../dist/bench/userspace-site.js", import.meta.url));
const ADDRESSES = ["192.0.2.1", "192.0.2.2"] as const;
const UDP_OVERHEAD = 14 + 20 + 8;
const SOON_MS = 10_000;
const UP_MS = 30_000;

function missing(): string | undefined {
  const probe = probeUserspace();
  if (!probe.available) return probe.reason;
  return namespacesMissing() ?? (existsSync(SCRIPT) ? undefined : "needs dist: npm run build");
}

const reason = missing();
const skipped = reason === undefined ? "" : ` (skipped: ${reason})`;

/** An Ethernet frame with these tags, the experimental type 0x88b5, and a payload that begins with `mark` and counts up. */
function tagged(mark: number, ...tags: readonly string[]): Buffer {
  const payload = Buffer.from(Array.from({ length: 60 }, (_, index) => (mark + index) & 0xff));
  return Buffer.concat([Buffer.from(`020000000002020000000001${tags.join("")}88b5`, "hex"), payload]);
}

function hexOf(octets: Uint8Array): string {
  return Buffer.from(octets).toString("hex");
}

describe.skipIf(reason !== undefined)(`VLAN pseudowires of the userspace datapath${skipped}`, () => {
  let sites: readonly [UserspaceSite, UserspaceSite];
  let namespaces: readonly [NetworkNamespace, NetworkNamespace];

  /** By side and device. */
  const received = new Map<string, readonly string[]>();

  /** VLANs 42 and 43 at the near side, session 1 and 3; at the far side session 2 is a port, 4 is of VLAN 43. */
  const LAYERED = { l2Sublayer: "default", localCookie: Buffer.alloc(8, 1), remoteCookie: Buffer.alloc(8, 1) } as const;

  async function addSession(side: 0 | 1, id: number, vlan: number | undefined, more: object = {}): Promise<void> {
    const ids = { localControlConnectionId: 1, localSessionId: id, remoteSessionId: id + 1 - 2 * side };
    await sites[side].call("createSession", { ...PLAIN_SESSION, ...ids, vlan, interfaceName: `pw${id}`, ...more });
    await sites[side].call("raiseSession", id);
  }

  beforeEach(async () => {
    namespaces = [new NetworkNamespace(), new NetworkNamespace()];
    new Link(...namespaces, { device: "wan", addresses: [`${ADDRESSES[0]}/24`, `${ADDRESSES[1]}/24`] });
    sites = [new UserspaceSite(namespaces[0], SCRIPT), new UserspaceSite(namespaces[1], SCRIPT)];
    for (const side of [0, 1] as const) {
      const [local, remote] = [ADDRESSES[side], ADDRESSES[1 - side] as string];
      await sites[side].call("openSocket", 1, { address: local, port: 1701 }, { address: remote, port: 1701 });
      await sites[side].call("createTunnel", 1);
    }
    await addSession(0, 1, 42);
    await addSession(0, 3, 43, LAYERED);
    await addSession(1, 2, undefined);
    await addSession(1, 4, 43, LAYERED);
    received.clear();
    for (const device of ["pw1", "pw3"]) await sites[0].call("capture", device);
    for (const device of ["wan", "pw2", "pw4"]) await sites[1].call("capture", device);
  });

  afterEach(() => {
    for (const namespace of namespaces) namespace.remove();
  });

  /** All frames that a device has received so far. */
  async function framesOn(side: 0 | 1, device: string): Promise<readonly string[]> {
    const key = `${side} ${device}`;
    const more = await sites[side].call("capturedFrames", device);
    received.set(key, [...(received.get(key) ?? []), ...more.map(hexOf)]);
    return received.get(key) ?? [];
  }

  /** The first of them that ends as `frame` does. */
  function caught(side: 0 | 1, device: string, frame: Buffer): Promise<string> {
    const end = hexOf(frame.subarray(-60));
    return until(`a frame on ${device}`, SOON_MS, async () =>
      (await framesOn(side, device)).find((hex) => hex.endsWith(end)),
    );
  }

  async function countersOf(side: 0 | 1, id: number) {
    return (await sites[side].call("counters")).find(({ localSessionId }) => localSessionId === id);
  }

  test.each([
    ["no tag", []],
    ["a tag of its own", ["81000063"]],
    ["the very same tag", ["8100002a"]],
    ["two tags", ["88a80064", "810000c8"]],
  ] as const)("I05 F44 a frame with %s gets the session's in front of it on the wire", async (_, tags) => {
    const frame = tagged(7, ...tags);
    await sites[0].call("sendFrame", "pw1", frame);
    const packet = await caught(1, "wan", frame);
    const header = hexOf(encodeDataHeader(2, { cookie: new Uint8Array(0), l2Sublayer: "none" }));
    expect(packet.slice(2 * UDP_OVERHEAD)).toBe(header + hexOf(tagged(7, "8100002a", ...tags)));
    // The frame may be on the wire before it is counted, and the device may have sent something of its own.
    const counters = await until("the frame is counted", SOON_MS, async () => {
      const each = await countersOf(0, 1);
      return each !== undefined && each.sentPackets > 0 ? each : undefined;
    });
    if (counters.sentPackets === 1) expect(counters.sentOctets).toBe(frame.length + 4);
    else expect(counters.sentOctets).toBeGreaterThan(frame.length + 4);
  });

  test("I05 two VLANs in one tunnel, with cookie and sublayer: each with its own tag, and off again at the far end", async () => {
    const frame = tagged(9);
    await sites[0].call("sendFrame", "pw3", frame);
    expect(await caught(1, "wan", frame)).toContain(hexOf(tagged(9, "8100002b")));
    expect(await caught(1, "pw4", frame)).toBe(hexOf(frame));
    expect(await countersOf(1, 4)).toMatchObject({ receivedPackets: 1, receivedOctets: frame.length + 4 });
  });

  test("I05 what comes without the tag, or with another, is discarded and counted; what has it passes, whatever its priority", async () => {
    const foreign = [tagged(1), tagged(2, "8100002b"), tagged(3, "8100e000"), tagged(4, "88a8002a")];
    foreign.push(tagged(5, "81000063", "8100002a"));
    for (const frame of foreign) await sites[1].call("sendFrame", "pw2", frame);
    await sites[1].call("sendFrame", "pw2", tagged(6, "8100e02a"));
    expect(await caught(0, "pw1", tagged(6))).toBe(hexOf(tagged(6)));
    const passed = (await framesOn(0, "pw1")).join("\n");
    for (const frame of foreign) expect(passed).not.toContain(hexOf(frame.subarray(-60)));
    expect(await countersOf(0, 1)).toMatchObject({ receiveErrors: foreign.length, receivedPackets: 1 });
  });

  test("I05 I07 the MTU leaves room for the tag: the longest frame crosses in one packet", async () => {
    const [link] = JSON.parse(namespaces[0].ip("-json", "link", "show", "dev", "pw1"));
    expect(link.mtu).toBe(1_500 - 20 - 8 - 8 - 14 - 4);
    const longest = Buffer.concat([tagged(8).subarray(0, 14), Buffer.alloc(link.mtu - 60, 7), tagged(8).subarray(-60)]);
    await sites[0].call("sendFrame", "pw1", longest);
    expect((await caught(1, "wan", longest)).length / 2).toBe(14 + 1_500);
  });

  test("I05 frames that waited for others lose their tag as well", async () => {
    const ordered = { l2Sublayer: "default", receiveSequencing: "all", reorderTimeoutMs: 5_000 } as const;
    await addSession(0, 5, 44, ordered);
    await sites[0].call("capture", "pw5");
    const header = encodeDataHeader(5, { cookie: new Uint8Array(0), l2Sublayer: "default" });
    for (const sequence of [0, 2, 1]) {
      const octets = Buffer.concat([header, tagged(10 * sequence, "8100002c")]);
      octets.writeUInt32BE(0x4000_0000 + sequence, header.length - 4);
      await sites[1].call("sendDatagram", 1, octets);
    }
    await caught(0, "pw5", tagged(20));
    const passed = (await framesOn(0, "pw5")).filter((hex) => hex.includes("88b5"));
    expect(passed).toEqual([0, 10, 20].map((mark) => hexOf(tagged(mark))));
  });
});

describe.skipIf(reason !== undefined)(`two daemons with VLAN pseudowires${skipped}`, () => {
  let sites: TwoSites;
  beforeEach(() => {
    sites = new TwoSites();
  });
  afterEach(() => sites.remove());

  function start(site: Site, vlans: readonly [string, string]) {
    const [first, second] = vlans;
    const host = site.name === "paris" ? 1 : 2;
    const peer = sites.other(site).name;
    const configuration = sites.configuration(site, { lcce: 'datapath = "userspace"', session: first });
    const more = [
      `[tunnel.${peer}.session.lan43]`,
      second,
      'interface = "l2-second"',
      `addresses = ["10.43.0.${host}/24"]`,
    ];
    return sites.start(site, [configuration, ...more].join("\n"));
  }

  const VLANS = ['pseudowire = "vlan"\nvlan = 42', 'pseudowire = "vlan"\nvlan = 43'] as const;

  test("I01 I05 two of them in one tunnel carry frames, each with its tag on the wire", async () => {
    const [lyon, paris] = [start(sites.lyon, VLANS), start(sites.paris, VLANS)];
    const { sessions } = await paris.untilUp(UP_MS);
    await lyon.untilUp(UP_MS);
    expect(sessions.map(({ pseudowire, vlan }) => [pseudowire, vlan])).toEqual([
      ["vlan", 42],
      ["vlan", 43],
    ]);
    const wire = new UserspaceSite(sites.lyon.namespace, SCRIPT);
    await wire.call("capture", "wan");
    expect(await sites.ping(sites.paris, 3)).toMatchObject({ received: 3 });
    expect(await sites.ping(sites.paris, 3, "10.43.0.2")).toMatchObject({ received: 3 });
    const frames = (await wire.call("capturedFrames", "wan")).map(hexOf);
    // Tag and type of IPv4, then the addresses in the echoes.
    const echoes = (tag: string, net: string) =>
      frames.filter((hex) => hex.includes(`${tag}0800`) && hex.includes(net));
    expect(echoes("8100002a", "0a2a00010a2a0002").length).toBeGreaterThanOrEqual(3);
    expect(echoes("8100002b", "0a2b00010a2b0002").length).toBeGreaterThanOrEqual(3);
    expect([...echoes("8100002b", "0a2a0001"), ...echoes("8100002a", "0a2b0001")]).toEqual([]);
    await wire.kill("SIGKILL");
    expect((await paris.command("show", "sessions")).stdout).toMatch(/lan43 +established +l2-second +vlan 43/);
    expect(await paris.stop("SIGTERM")).toMatchObject({ code: 0 });
    expect(sites.paris.namespace.devices()).toEqual(["wan"]);
  });

  test("I05 ends of two types: a CDN says so at both, and the session beside it comes up", async () => {
    const [, second] = VLANS;
    const [lyon, paris] = [start(sites.lyon, ["", second]), start(sites.paris, VLANS)];
    const stateOf = (name: string) => (tunnel: { sessions: readonly { name: string; state: string }[] }) =>
      tunnel.sessions.find((session) => session.name === name)?.state === "established";
    await lyon.untilTunnel("the session that fits", UP_MS, stateOf("lan43"));
    const told = /type 4 is asked for, here it is 5 \(pseudowire = "ethernet"\)/;
    await paris.untilLogged("the CDN", UP_MS, ({ message }) => told.test(message));
    await lyon.untilLogged("the refusal", UP_MS, ({ message }) => told.test(message));
    expect(sites.lyon.namespace.devices()).toEqual(["wan", "l2-second"]);
  });
});
