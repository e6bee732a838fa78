import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { until } from "../support/daemon-process.ts";
import { execute, namespacesMissing } from "../support/namespaces.ts";
import { dissect, type Frame, startCapture, tsharkMissing } from "../support/tshark.ts";
import { type Extra, TwoSites } from "../support/two-sites.ts";
import { MESSAGE_TYPES } from "../support/wire.ts";

const missing = namespacesMissing() ?? tsharkMissing();
const UP_MS = 10_000;

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
    const capture = await startCapture(sites);
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

    const frames = await dissect(file, FIELDS);
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

/** "paris SCCRQ"; a message without AVPs is a ZLB. */
function sentence(frame: Frame): string {
  const who = frame["ip.src"]?.[0] === sites.paris.address ? "paris" : "lyon";
  const type = frame["l2tp.avp.message_type"]?.[0];
  return `${who} ${type === undefined ? "ZLB" : MESSAGE_TYPES[Number(type)]}`;
}
