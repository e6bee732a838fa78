import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { dissect, type Frame, tsharkMissing } from "../support/tshark.ts";
import { type Checks, lastLines, readChecks } from "../support/vm-checks.ts";
import { runInVm, vmUnavailable } from "./vm/lab.ts";

/** What the packets of one direction of a session have to look like; `expectedOf` of matrix-lab.mjs wrote it in the guest. */
interface Expected {
  readonly title: string;
  readonly kind: "udp" | "ip";
  readonly source: string;
  readonly destination: string;
  readonly sessionId: number;
  /** Hexadecimal digits. */
  readonly cookie: string;
  readonly sublayer: "none" | "default";
  readonly sequencing: "none" | "all";
  readonly frames: number;
  /** Octets of the longest, the last, with all headers. */
  readonly longest: number;
}

const missing = vmUnavailable() ?? tsharkMissing();
/** It takes a minute or two on two cores without KVM that have nothing else to do, and eight on busy ones. */
const TIMEOUT_MS = 900_000;
/** Of Linux 6.1 and of Debian testing's kernel. */
const KERNELS = ["bookworm", "forky"] as const;
const COOKIE_SIZES: Readonly<Record<number, string>> = { 0: "None", 4: "4 Byte Cookie", 8: "8 Byte Cookie" };
const SUBLAYERS = { none: "None", default: "Default L2-Specific" } as const;
/** Local Experimental EtherType 1: what the guest's frames are. */
const PAYLOAD = "88b5";
const ETHER_TYPE_OCTET = 12;
const L2TP_PORT = "1701";
const L2TP_PROTOCOL = "115";

const FIELDS = [
  "frame.len",
  "ip.src",
  "ip.dst",
  "ip.proto",
  "ipv6.src",
  "ipv6.dst",
  "ipv6.nxt",
  "udp.srcport",
  "udp.dstport",
  "l2tp.type",
  "l2tp.version",
  "l2tp.sid",
  "l2tp.cookie",
  "l2tp.l2_spec_s",
  "l2tp.l2_spec_sequence",
  "eth.type",
  "data.data",
  "_ws.malformed",
];

describe.skipIf(missing !== undefined)(
  `F01 F05 F06 F14 F40 every encapsulation, cookie, sublayer and sequencing${missing === undefined ? "" : ` (${missing})`}`,
  () => {
    describe.each(KERNELS)("the kernel of %s", (kernel) => {
      let folder: string;
      let checks: Checks;
      let output: string;

      beforeAll(async () => {
        folder = await mkdtemp(join(tmpdir(), "l2tpv3-lcc-matrix-"));
        const script = fileURLToPath(new URL("vm/guest/daemons.mjs", import.meta.url));
        const run = { script, args: ["vpp", "matrix"], timeoutMs: TIMEOUT_MS, outDir: folder, kernel };
        ({ output } = await runInVm(run));
        checks = readChecks(output);
      }, TIMEOUT_MS);
      afterAll(() => rm(folder, { recursive: true, force: true }));

      test("F11 F41 F46 frames pass between two daemons, and between a daemon and ip l2tp, and nothing with a wrong cookie", () => {
        expect(checks.failed.join("\n\n")).toBe("");
        expect(checks.complete, `the script ended early:\n${lastLines(output)}`).toBe(true);
        expect(new Set(checks.passed).size).toBeGreaterThanOrEqual(275);
      });

      test("I27 VPP, played by the kernel: conf/examples/vpp.toml comes up, and frames pass", () => {
        const names = [
          "frames pass both ways, in order, each once",
          "ping from the daemon's side",
          "ping from VPP's side",
        ];
        const wanted = ["I27 VPP: conf/examples/vpp.toml comes up", ...names.map((name) => `VPP: ${name}`)];
        expect(checks.passed).toEqual(expect.arrayContaining(wanted));
      });

      test.each([
        ["what two daemons have agreed on", "negotiated", 104],
        ["what was typed in", "static", 104],
        ["what VPP expects and sends", "vpp", 2],
      ])("tshark finds in the packets %s", async (_title, name, directions) => {
        const expected = await expectedIn(name);
        expect(expected).toHaveLength(directions);
        for (const group of groupsOf(expected)) {
          const frames = await dissect(join(folder, `${name}.pcap`), FIELDS, optionsFor(group));
          expect(frames.length).toBeGreaterThan(0);
          for (const each of group) checkPackets(each, frames);
        }
      });

      async function expectedIn(name: string): Promise<readonly Expected[]> {
        return JSON.parse(await readFile(join(folder, `${name}.json`), "utf8"));
      }
    });
  },
);

/** Those that tshark can read together: it is told one size of cookie and one sublayer for all packets. */
function groupsOf(expected: readonly Expected[]): readonly (readonly Expected[])[] {
  const groups = new Map<string, Expected[]>();
  for (const each of expected) {
    const key = `${each.cookie.length} ${each.sublayer}`;
    groups.set(key, [...(groups.get(key) ?? []), each]);
  }
  return [...groups.values()];
}

function optionsFor(group: readonly Expected[]): readonly string[] {
  const [first] = group;
  if (first === undefined) throw new Error("a group has a member");
  const ids = group.map(({ sessionId }) => `l2tp.sid == ${sessionId}`).join(" || ");
  const cookieSize = `l2tp.cookie_size:${COOKIE_SIZES[first.cookie.length / 2]}`;
  return ["-o", cookieSize, "-o", `l2tp.l2_specific:${SUBLAYERS[first.sublayer]}`, "-Y", ids];
}

function checkPackets(expected: Expected, frames: readonly Frame[]): void {
  const { title, kind, source, destination, cookie } = expected;
  const packets = frames.filter(
    (frame) => Number(frame["l2tp.sid"]?.[0]) === expected.sessionId && addressOf(frame, "src") === source,
  );
  const told = packets.map((frame) => ({
    destination: addressOf(frame, "dst"),
    carrier: frame["udp.srcport"]?.[0] ?? protocolOf(frame),
    version: frame["l2tp.version"]?.[0],
    cookie: (frame["l2tp.cookie"]?.[0] ?? "").replaceAll(":", ""),
    sequenced: frame["l2tp.l2_spec_s"]?.[0],
    number: frame["l2tp.l2_spec_sequence"]?.[0],
    payload: payloadOf(frame),
    malformed: frame["_ws.malformed"],
  }));
  const overUdp = { carrier: L2TP_PORT, version: "3" };
  const overIp = { carrier: L2TP_PROTOCOL, version: undefined };
  const all = { destination, cookie, payload: PAYLOAD, malformed: undefined, ...(kind === "udp" ? overUdp : overIp) };
  const wanted = Array.from({ length: expected.frames }, (_, i) => ({ ...all, ...sublayerOf(expected, i) }));
  expect(told, title).toEqual(wanted);
  expect(packets.at(-1)?.["frame.len"], `${title}: the longest`).toEqual([`${expected.longest}`]);
}

/** The S bit and the Sequence Number of the packet that was sent after `sent` others (RFC 3931 4.6, appendix C). */
function sublayerOf({ sublayer, sequencing }: Expected, sent: number) {
  if (sublayer === "none") return { sequenced: undefined, number: undefined };
  return sequencing === "all" ? { sequenced: "1", number: `${sent}` } : { sequenced: "0", number: "0" };
}

function addressOf(frame: Frame, which: "src" | "dst"): string | undefined {
  return (frame[`ip.${which}`] ?? frame[`ipv6.${which}`])?.[0];
}

/** The EtherType of the frame inside, which tshark only reads as one where it saw the session being agreed on. */
function payloadOf(frame: Frame): string | undefined {
  const inner = frame["eth.type"]?.[1];
  if (inner !== undefined) return inner.replace("0x", "");
  return frame["data.data"]?.[0]
    ?.replaceAll(":", "")
    .slice(2 * ETHER_TYPE_OCTET, 2 * ETHER_TYPE_OCTET + PAYLOAD.length);
}

function protocolOf(frame: Frame): string | undefined {
  return (frame["ip.proto"] ?? frame["ipv6.nxt"])?.[0];
}
