import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { dataHeaderLength, encodeDataHeader } from "../../src/kernel/data-header.ts";
import { probeUserspace } from "../../src/kernel/tap.ts";
import { until } from "../support/daemon-process.ts";
import { Link, NetworkNamespace, namespacesMissing } from "../support/namespaces.ts";
import { PLAIN_SESSION } from "../support/session-request.ts";
import { UserspaceSite } from "../support/userspace-site.ts";

const SCRIPT = fileURLToPath(new URL("../../dist/bench/userspace-site.js", import.meta.url));
const ADDRESSES = ["192.0.2.1", "192.0.2.2"] as const;
const NONE = new Uint8Array(0);
const UDP_OVERHEAD = 14 + 20 + 8;
const ADDRESS_OCTETS = 12;
const TAG_OCTETS = 4;

function missing(): string | undefined {
  const probe = probeUserspace();
  if (!probe.available) return probe.reason;
  return namespacesMissing() ?? (existsSync(SCRIPT) ? undefined : "needs dist: npm run build");
}

const reason = missing();

/** An Ethernet frame with these tags, and behind them the experimental type 0x88b5 and a payload that counts up. */
function tagged(...tags: readonly string[]): Buffer {
  const payload = Buffer.from(Array.from({ length: 60 }, (_, index) => index));
  return Buffer.concat([Buffer.from(`020000000002020000000001${tags.join("")}88b5`, "hex"), payload]);
}

const FRAMES: readonly (readonly [words: string, frame: Buffer])[] = [
  ["no tag", tagged()],
  ["a tag of 802.1Q with priority", tagged("8100a064")],
  ["a tag of priority alone", tagged("8100e000")],
  ["two tags, 802.1ad outside", tagged("88a80064", "810000c8")],
  ["three tags", tagged("88a80001", "81000002", "81000003")],
];

describe.skipIf(reason !== undefined)(
  `tags of 802.1Q in a pseudowire${reason === undefined ? "" : ` (skipped: ${reason})`}`,
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
        await sites[side].call("createSession", {
          localControlConnectionId: 1,
          localSessionId: 1 + side,
          remoteSessionId: 2 - side,
          ...PLAIN_SESSION,
          interfaceName: "pw0",
        });
        await sites[side].call("raiseSession", 1 + side);
      }
      await sites[0].call("capture", "pw0");
    });

    afterEach(() => {
      for (const namespace of namespaces) namespace.remove();
    });

    /** The first frame that a device at the far side receives and that is wanted. */
    async function caught(device: string, wanted: (octets: Buffer) => boolean): Promise<Buffer> {
      let found: Buffer | undefined;
      await until(`a frame on ${device}`, 5_000, async () => {
        const frames = await sites[1].call("capturedFrames", device);
        found ??= frames.map((octets) => Buffer.from(octets)).find(wanted);
        return found !== undefined;
      });
      return found as Buffer;
    }

    test.each(FRAMES)("I05 %s: on the wire the frame is what it was, octet for octet", async (_, frame) => {
      await sites[1].call("capture", "wan");
      await sites[0].call("sendFrame", "pw0", frame);
      const header = Buffer.from(encodeDataHeader(2, { cookie: NONE, l2Sublayer: "none" }));
      const packet = await caught("wan", (octets) => octets.includes(header));
      expect(packet.subarray(UDP_OVERHEAD + header.length).toString("hex")).toBe(frame.toString("hex"));
    });

    test.each(FRAMES)("I05 %s: the far device receives it with its tags", async (_, frame) => {
      await sites[1].call("capture", "pw0");
      await sites[0].call("sendFrame", "pw0", frame);
      const received = await caught("pw0", (octets) => octets.includes(frame.subarray(-60)));
      // The kernel takes the outermost tag of what any device receives out of the octets and remembers it beside them.
      const type = frame.readUInt16BE(ADDRESS_OCTETS);
      const within = type === 0x8100 || type === 0x88a8 ? TAG_OCTETS : 0;
      const rest = Buffer.concat([frame.subarray(0, ADDRESS_OCTETS), frame.subarray(ADDRESS_OCTETS + within)]);
      expect(received.toString("hex")).toBe(rest.toString("hex"));
      const [counters] = await sites[1].call("counters");
      expect(counters?.receivedOctets).toBe(frame.length);
    });

    test("I07 the device's MTU leaves room for all headers, and the longest frame crosses in one packet", async () => {
      const overhead = 20 + 8 + dataHeaderLength({ cookie: NONE, l2Sublayer: "none" }) + 14;
      const [link] = JSON.parse(namespaces[0].ip("-json", "link", "show", "dev", "pw0"));
      expect(link.mtu).toBe(1_500 - overhead);
      await sites[1].call("capture", "wan");
      const longest = Buffer.concat([tagged(), Buffer.alloc(link.mtu - 60, 7)]);
      await sites[0].call("sendFrame", "pw0", longest);
      const packet = await caught("wan", (octets) => octets.includes(longest.subarray(0, 60)));
      expect(packet.length).toBe(14 + 1_500);
      expect(packet.readUInt16BE(14 + 6) & 0x3fff, "neither fragment nor more to come").toBe(0);
    });
  },
);
