import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { until } from "../support/daemon-process.ts";
import { CAPTURE } from "../support/frame-capture.ts";
import { namespacesMissing } from "../support/namespaces.ts";
import { type Site, TwoSites } from "../support/two-sites.ts";

const missing = namespacesMissing();
const UP_MS = 20_000;
const DSCP_EF = 184;
const TTL = 77;
const OPTIONS = `df = true\ntos = ${DSCP_EF}\nttl = ${TTL}\nudp_checksum = false`;

interface OuterHeader {
  readonly source: string;
  readonly kind: "control" | "data";
  readonly trafficClass: number;
  readonly ttl: number;
  /** IPv6 has no such bit: routers never fragment. */
  readonly dontFragment: boolean;
  readonly checksum: number;
}

/** Of a UDP packet from port 1701 to port 1701. */
function readFrame(hex: string): OuterHeader | undefined {
  const frame = Buffer.from(hex, "hex");
  const type = frame.readUInt16BE(12);
  const packet = frame.subarray(14);
  const header = type === 0x0800 ? readIpv4(packet) : type === 0x86dd ? readIpv6(packet) : undefined;
  if (header?.protocol !== 17) return undefined;
  const { protocol, length, ...fields } = header;
  const udp = packet.subarray(length);
  if (udp.readUInt32BE(0) !== (1701 << 16) + 1701) return undefined;
  return { ...fields, kind: (udp.readUInt8(8) & 0x80) === 0 ? "data" : "control", checksum: udp.readUInt16BE(6) };
}

function readIpv4(packet: Buffer) {
  return {
    protocol: packet.readUInt8(9),
    length: (packet.readUInt8(0) & 15) * 4,
    source: packet.toString("hex", 12, 16),
    trafficClass: packet.readUInt8(1),
    ttl: packet.readUInt8(8),
    dontFragment: (packet.readUInt16BE(6) & 0x4000) !== 0,
  };
}

function readIpv6(packet: Buffer) {
  return {
    protocol: packet.readUInt8(6),
    length: 40,
    source: packet.toString("hex", 8, 24),
    trafficClass: (packet.readUInt16BE(0) >> 4) & 0xff,
    ttl: packet.readUInt8(7),
    dontFragment: true,
  };
}

class Capture {
  readonly headers: OuterHeader[] = [];
  readonly #child: ChildProcess;
  #ready = false;

  constructor({ namespace }: Site) {
    this.#child = namespace.spawn(process.execPath, ["--input-type=module", "-e", CAPTURE], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const { stdout } = this.#child;
    if (stdout === null) throw new Error("no standard output");
    createInterface(stdout).on("line", (line) => {
      const header = line === "ready" ? undefined : readFrame(line);
      if (header !== undefined) this.headers.push(header);
      this.#ready = true;
    });
  }

  async start(): Promise<void> {
    await until("the packet socket listens", UP_MS, () => this.#ready);
  }

  stop(): void {
    this.#child.kill("SIGKILL");
  }
}

const IPV6 = ["2001:db8::1", "2001:db8::2"] as const;

describe.skipIf(missing !== undefined)(`outer headers on the wire${missing ? ` (${missing})` : ""}`, () => {
  let sites: TwoSites;
  let capture: Capture;
  beforeEach(() => {
    sites = new TwoSites();
    for (const [index, { namespace }] of [sites.paris, sites.lyon].entries()) {
      for (const [key, value] of Object.entries({ accept_dad: "0", disable_ipv6: "0" })) {
        namespace.write(`/proc/sys/net/ipv6/conf/wan/${key}`, value);
      }
      namespace.ip("address", "add", `${IPV6[index]}/64`, "dev", "wan", "nodad");
    }
  });
  afterEach(async () => {
    capture.stop();
    await sites.remove();
  });

  test.each(["IPv4", "IPv6"])(
    "F10 F23 %s: TOS without ECN bits, TTL, Don't Fragment; data without checksum, control with",
    async (family) => {
      capture = new Capture(sites.paris);
      await capture.start();
      const listen = 'listen = ["udp:0.0.0.0:1701", "udp:[::]:1701"]';
      const keys = (address: string) => `peer = "${address}"\n${OPTIONS}`;
      const isIpv4 = family === "IPv4";
      const [toParis, toLyon] = isIpv4 ? [sites.paris.address, sites.lyon.address] : IPV6;
      const lyon = sites.start(sites.lyon, sites.configuration(sites.lyon, { tunnel: keys(toParis), lcce: listen }));
      const start = sites.start(sites.paris, sites.configuration(sites.paris, { tunnel: keys(toLyon), lcce: listen }));
      await Promise.all([start.untilUp(UP_MS), lyon.untilUp(UP_MS)]);
      expect(await sites.ping(sites.paris, 3)).toMatchObject({ received: 3 });
      const source = isIpv4
        ? Buffer.from(sites.paris.address.split(".").map(Number)).toString("hex")
        : `20010db8${"0".repeat(23)}1`;
      const sent = await until("control and data", UP_MS, () => {
        const ours = capture.headers.filter((header) => header.source === source);
        const count = (kind: string) => ours.filter((header) => header.kind === kind).length;
        return count("control") >= 3 && count("data") >= 3 && ours;
      });
      for (const header of sent) {
        expect(header).toMatchObject({ trafficClass: DSCP_EF, ttl: TTL, dontFragment: true });
        expect(header.trafficClass & 3).toBe(0);
      }
      const checksums = (kind: string) => sent.filter((header) => header.kind === kind).map(({ checksum }) => checksum);
      // A frame that leaves together with a control message may have one.
      expect(checksums("data").filter((checksum) => checksum === 0).length).toBeGreaterThanOrEqual(3);
      expect(checksums("control")).not.toContain(0);
    },
  );
});
