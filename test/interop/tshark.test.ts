import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { until } from "../support/daemon-process.ts";
import { execute, namespacesMissing } from "../support/namespaces.ts";
import { type Extra, TwoSites } from "../support/two-sites.ts";

const missing = namespacesMissing() ?? tsharkMissing();
const UP_MS = 10_000;

/** RFC 3931 3.1: numbers of the message types. */
const MESSAGE_TYPES: Readonly<Record<string, string>> = {
  "1": "SCCRQ",
  "2": "SCCRP",
  "3": "SCCCN",
  "4": "StopCCN",
  "6": "HELLO",
  "10": "ICRQ",
  "11": "ICRP",
  "12": "ICCN",
  "14": "CDN",
  "16": "SLI",
  "20": "ACK",
};

/** What the dissector tells of one frame: field names with all their values. */
type Frame = Readonly<Record<string, readonly string[] | undefined>>;

const FIELDS = [
  "ip.src",
  "l2tp.type",
  "l2tp.version",
  "l2tp.length",
  "udp.length",
  "l2tp.ccid",
  "l2tp.avp.message_type",
  "l2tp.avp.type",
  "l2tp.avp.vendor_id",
  "l2tp.avp_length.bad",
  "l2tp.vendor_specific_avp_data",
  "_ws.malformed",
  "_ws.expert.message",
];

let sites: TwoSites;

describe.skipIf(missing !== undefined)(`tshark understands two daemons${missing ? ` (${missing})` : ""}`, () => {
  beforeEach(() => {
    sites = new TwoSites();
  });
  afterEach(() => sites.remove());

  test("every control message of a connection's life", async () => {
    const capture = await startCapture();
    // Patient enough that a busy machine makes no retransmissions.
    const extra: Extra = { lcce: 'datapath = "none"', tunnel: 'retransmit = { initial = "4s" }' };
    const lyon = sites.start(sites.lyon, sites.configuration(sites.lyon, extra));
    await until("lyon listens", UP_MS, () => lyon.show());
    const paris = sites.start(sites.paris, sites.configuration(sites.paris, extra));
    await Promise.all([paris.untilUp(UP_MS), lyon.untilUp(UP_MS)]);
    // The HELLO comes with silence, 1 s here.
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(await paris.command("close", "lyon/lan42")).toMatchObject({ code: 0 });
    await lyon.untilTunnel("the CDN", 2_000, ({ sessions }) => sessions[0]?.state === "idle");
    expect(await paris.stop("SIGTERM", 5_000)).toMatchObject({ code: 0 });
    await lyon.untilTunnel("the StopCCN", 2_000, ({ state }) => state === "idle");
    const file = await capture.stop();

    const frames = await dissect(file);
    expect(frames.length).toBeGreaterThan(10);
    for (const frame of frames) {
      const [udpLength = "", length = ""] = [frame["udp.length"]?.[0], frame["l2tp.length"]?.[0]];
      expect(frame).toMatchObject({ "l2tp.type": ["1"], "l2tp.version": ["3"] });
      expect(Number(length), "the Length field covers the datagram").toBe(Number(udpLength) - 8);
      expect(frame).not.toHaveProperty(["_ws.malformed"]);
      expect(frame).not.toHaveProperty(["_ws.expert.message"]);
      expect(frame).not.toHaveProperty(["l2tp.avp_length.bad"]);
      expect(frame).not.toHaveProperty(["l2tp.vendor_specific_avp_data"]);
      expect(new Set(frame["l2tp.avp.vendor_id"] ?? ["0"])).toEqual(new Set(["0"]));
    }
    const said = frames.map(sentence);
    expect(said.slice(0, 2)).toEqual(["paris SCCRQ", "lyon SCCRP"]);
    for (const message of ["paris SCCCN", "paris ICRQ", "lyon ICRP", "paris ICCN", "paris CDN", "paris StopCCN"]) {
      expect(said.filter((each) => each === message)).toEqual([message]);
    }
    expect(said.some((each) => each.endsWith("HELLO"))).toBe(true);
    expect(said.filter((each) => /undefined|unknown/.test(each))).toEqual([]);

    // In words the dissector names what it does not know: "Unknown (…)", "Reserved", "Bad …".
    const { stdout } = await execute("tshark", ["-r", file, "-Y", "l2tp", "-O", "l2tp"]);
    expect(stdout).toContain("Message Type: Start_Control_Request");
    expect(stdout.split("\n").filter((line) => /unknown|malformed|bad |undecoded|exception/i.test(line))).toEqual([]);
  });
});

function tsharkMissing(): string | undefined {
  try {
    execFileSync("tshark", ["--version"], { stdio: "ignore" });
    execFileSync("dumpcap", ["--version"], { stdio: "ignore" });
  } catch {
    return "needs tshark (Debian package tshark)";
  }
  return undefined;
}

/** Captures what passes the cable between the sites. `stop` returns the file. */
async function startCapture(): Promise<{ readonly stop: () => Promise<string> }> {
  const file = join(sites.directory, "exchange.pcap");
  const args = ["-i", "wan", "-P", "-w", file, "-f", "udp port 1701"];
  const dumpcap = sites.lyon.namespace.spawn("dumpcap", args, { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  dumpcap.stderr?.on("data", (octets: Buffer) => {
    said += octets.toString();
  });
  // It says so once it has opened the device and the file.
  await until(`dumpcap captures: ${said}`, 10_000, () => said.includes("File:"));
  const stop = async () => {
    const ended = new Promise((resolve) => dumpcap.on("close", resolve));
    dumpcap.kill("SIGINT");
    await ended;
    return file;
  };
  return { stop };
}

async function dissect(file: string): Promise<readonly Frame[]> {
  const fields = FIELDS.flatMap((field) => ["-e", field]);
  const { code, stdout, stderr } = await execute("tshark", ["-r", file, "-T", "json", ...fields]);
  if (code !== 0) throw new Error(`tshark failed: ${stderr}`);
  const packets: { readonly _source: { readonly layers: Frame } }[] = JSON.parse(stdout);
  return packets.map(({ _source }) => _source.layers);
}

/** "paris SCCRQ"; a message without AVPs is a ZLB. */
function sentence(frame: Frame): string {
  const who = frame["ip.src"]?.[0] === sites.paris.address ? "paris" : "lyon";
  const type = frame["l2tp.avp.message_type"]?.[0];
  return `${who} ${type === undefined ? "ZLB" : MESSAGE_TYPES[type]}`;
}
