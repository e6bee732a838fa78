/**
 * The scripted peers over IP protocol 115, for the virtual machine: `node over-ip.js FOLDER`. Prints the checks as the
 * guest's other scripts do, and leaves in FOLDER what was said, for tshark.
 */
import { deepStrictEqual, ok } from "node:assert/strict";
import { join } from "node:path";
import { until } from "../../support/daemon-process.ts";
import { execute } from "../../support/namespaces.ts";
import { writePcap } from "../../support/pcap.ts";
import { hexOf } from "../../support/wire.ts";
import { CASES_OVER_IP, type Case } from "./cases.ts";
import { cookieOf, Exchange, hasSublayer } from "./exchange.ts";
import { u32 } from "./personality.ts";

/** The machine may be emulated, and others may keep it busy. */
const UP_MS = 240_000;
const FRAMES_MS = 60_000;
/** The default L2-Specific Sublayer without sequence numbers (RFC 3931 4.6). */
const SUBLAYER = "00000000";
/** Broadcast, of Local Experimental EtherType 1. */
const FRAME = Buffer.concat([Buffer.from("ffffffffffff02000000000188b5", "hex"), Buffer.alloc(50, 0x5a)]);

let failed = 0;
let passed = 0;

async function check(name: string, act: () => void | Promise<void>): Promise<void> {
  try {
    await act();
    passed++;
    console.log(`ok ${name}`);
  } catch (error) {
    failed++;
    const words = String(error instanceof Error ? error.stack : error);
    console.log([`not ok ${name}`, ...words.split("\n").map((line) => `# ${line}`)].join("\n"));
  }
}

const [folder = "/out"] = process.argv.slice(2);
const exchange = await Exchange.start({ cases: CASES_OVER_IP, over: "ip", upMs: UP_MS });
await exchange.setUp();
const cookies = await kernelCookies();
exchange.peers.forEach((_, index) => {
  sendFrame(index);
});
// The devices say something by themselves: their own neighbour discovery.
await until("frames of every device", FRAMES_MS, async () => {
  await exchange.look();
  return exchange.peers.every(({ packets }, index) => packets.length > 0 && received(index) > 0);
}).catch(() => undefined);
await exchange.end();
for (const [signed, name] of [
  [true, "signed"],
  [false, "unsigned"],
] as const) {
  writePcap(join(folder, `${name}.pcap`), exchange.transcripts(signed));
  console.log(`# ${name}: ${exchange.transcripts(signed).length} messages`);
}
for (const [index, each] of exchange.cases.entries()) {
  await check(`${exchange.title(index)}: setup and end`, () => exchange.verify(index));
  // Of a session without cookies ip shows those of the one before.
  if (each.cookie > 0) await check(`${exchange.title(index)}: cookies in the kernel`, () => verifyCookies(index, each));
  await check(`${exchange.title(index)}: frames both ways`, () => verifyFrames(index, each));
}
exchange.close();
console.log(`# end: ${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);

/** As the peer sends it: behind the cookie that our daemon has assigned to it. */
function sendFrame(index: number): void {
  const each = CASES_OVER_IP[index] as Case;
  try {
    const cookie = exchange.said(index).call.avps.get("65") ?? "";
    exchange.peers[index]?.sendFrame(cookie + (hasSublayer(each) ? SUBLAYER : ""), FRAME);
  } catch {
    // It has not come that far, which the checks tell.
  }
}

function received(index: number): number {
  return exchange.tunnels[index]?.sessions[0]?.counters.received_packets ?? 0;
}

/** What `ip l2tp` shows of each session: what it sends, and what it expects. */
async function kernelCookies(): Promise<ReadonlyMap<number, readonly [sent: string, expected: string]>> {
  const { stdout } = await execute("ip", ["l2tp", "show", "session"]);
  const blocks = stdout.split(/^(?=Session )/m).filter((block) => block.startsWith("Session "));
  return new Map(
    blocks.map((block) => [
      Number(/^Session (\d+)/.exec(block)?.[1]),
      [/(?<!peer )cookie ([0-9a-f]+)/.exec(block)?.[1] ?? "", /peer cookie ([0-9a-f]+)/.exec(block)?.[1] ?? ""],
    ]),
  );
}

function verifyCookies(index: number, each: Case): void {
  const { call } = exchange.said(index);
  const session = exchange.tunnels[index]?.sessions[0];
  deepStrictEqual(cookies.get(session?.local_session_id ?? 0), [cookieOf(each), call.avps.get("65") ?? ""]);
}

/** Ours reached the peer with its Session ID and cookie, and the peer's was taken. */
function verifyFrames(index: number, each: Case): void {
  const peer = exchange.peers[index];
  const [packet = new Uint8Array(0)] = peer?.packets ?? [];
  const header = u32(peer?.sessionId ?? 0) + cookieOf(each) + (hasSublayer(each) ? SUBLAYER : "");
  deepStrictEqual(hexOf(packet).slice(0, header.length), header);
  ok(packet.length > header.length / 2 + 14, "a frame is behind it");
  ok(received(index) > 0, "the peer's frame has come out");
}
