import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { until } from "../support/daemon-process.ts";
import { namespacesMissing } from "../support/namespaces.ts";
import { dissect, type Frame, startCapture, tsharkMissing } from "../support/tshark.ts";
import { type Extra, type Site, TwoSites } from "../support/two-sites.ts";
import { MESSAGE_TYPES } from "../support/wire.ts";

const missing = namespacesMissing() ?? tsharkMissing();
const UP_MS = 15_000;

const SECRET = "correct horse";
const FIELDS = [
  "ip.src",
  "l2tp.Ns",
  "l2tp.Nr",
  "l2tp.avp.message_type",
  "l2tp.avp.type",
  "l2tp.avp.hidden",
  "l2tp.avp.message_digest",
];

let sites: TwoSites;

describe.skipIf(missing !== undefined)(
  `tshark verifies the digests of two daemons${missing ? ` (${missing})` : ""}`,
  () => {
    beforeEach(() => {
      sites = new TwoSites();
    });
    afterEach(() => sites.remove());

    test.each([
      ["md5", false],
      ["sha1", false],
      ["md5", true],
      ["sha1", true],
    ] as const)("D02 D06 D10 C08 %s, hidden = %s: each one, retransmissions too", async (digest, hidden) => {
      const file = await captureOfBadDay(digest, hidden);
      const frames = await dissect(file, FIELDS);
      const names = new Set(frames.map(nameOf));
      for (const name of ["SCCRQ", "SCCRP", "SCCCN", "ICRQ", "ICRP", "ICCN", "HELLO", "ACK", "CDN", "StopCCN"]) {
        expect([...names]).toContain(name);
      }
      for (const frame of frames) {
        expect(frame["l2tp.avp.type"]?.[1], "the AVP behind Message Type is the digest").toBe("59");
        // Digest Type and digest.
        const [value = ""] = frame["l2tp.avp.message_digest"] ?? [];
        expect(value.replaceAll(":", "")).toHaveLength(2 * (digest === "md5" ? 17 : 21));
      }
      const repeated = retransmissions(frames);
      expect(new Set(repeated.map(({ name }) => name))).toEqual(
        new Set([...repeated.map(({ name }) => name), "SCCRQ", "SCCRP"]),
      );
      expect(repeated.some(({ renewed }) => renewed)).toBe(true);
      expect(frames.some((frame) => (frame["l2tp.avp.hidden"] ?? []).some(isSet))).toBe(hidden);

      expect(await flagged(file, SECRET)).toEqual([]);
      // It would flag nothing either if it verified nothing.
      expect(await flagged(file, "wrong horse")).toHaveLength(frames.length);
    });
  },
);

/** A connection from its SCCRQ to its StopCCN on a cable that loses what it likes. */
async function captureOfBadDay(digest: string, hidden: boolean): Promise<string> {
  const capture = await startCapture(sites);
  const extra: Extra = {
    lcce: 'datapath = "none"',
    tunnel: [
      `secret = "${SECRET}"`,
      `digest = "${digest}"`,
      `hidden = ${hidden}`,
      // Enough that one connection survives it all: tshark confuses two between the same ports.
      'retransmit = { initial = "200ms", max = "8s", retries = 10, sccrq_retries = 10 }',
    ].join("\n"),
  };
  const { paris: a, lyon: b } = sites;
  misdirect(a);
  misdirect(b);
  const lyon = sites.start(b, sites.configuration(b, extra));
  await until("lyon listens", UP_MS, () => lyon.show());
  const paris = sites.start(a, sites.configuration(a, extra));
  await paris.untilTunnel("SCCRQ sent", UP_MS, ({ state }) => state === "wait-ctl-reply");
  await pause(700);
  redirect(a);
  await lyon.untilTunnel("SCCRP sent", UP_MS, ({ state }) => state === "wait-ctl-conn");
  await pause(700);
  redirect(b);
  await Promise.all([paris.untilUp(UP_MS), lyon.untilUp(UP_MS)]);
  // Lyon's CDN comes through and raises Nr, while that of paris is lost and sent again.
  misdirect(a);
  expect(await paris.command("close", "lyon/lan42")).toMatchObject({ code: 0 });
  expect(await lyon.command("close", "paris/lan42")).toMatchObject({ code: 0 });
  redirect(a);
  // Silence, for a HELLO; it comes when everything else is acknowledged.
  await pause(4_500);
  expect(await paris.stop("SIGTERM", 10_000)).toMatchObject({ code: 0 });
  await lyon.untilTunnel("the StopCCN", UP_MS, ({ state }) => state === "idle");
  return capture.stop();
}

/** What this site sends goes over the cable, where it is captured, but to a station that is not there. */
function misdirect(site: Site): void {
  const peer = sites.other(site).address;
  site.namespace.ip("neigh", "replace", peer, "lladdr", "02:00:00:00:00:99", "dev", "wan", "nud", "permanent");
}

function redirect(site: Site): void {
  site.namespace.ip("neigh", "del", sites.other(site).address, "dev", "wan");
}

/** Messages whose digest does not fit the secret. */
async function flagged(file: string, secret: string): Promise<readonly string[]> {
  const frames = await dissect(file, FIELDS, ["-o", `l2tp.shared_secret:${secret}`, "-Y", "l2tp.incorrect_digest"]);
  return frames.map((frame) => `${frame["ip.src"]} ${nameOf(frame)} ${frame["l2tp.Ns"]}`);
}

function nameOf(frame: Frame): string {
  return MESSAGE_TYPES[Number(frame["l2tp.avp.message_type"]?.[0])] ?? "ZLB";
}

function isSet(bit: string): boolean {
  return bit === "1" || bit === "True";
}

/** Of each message that was sent again: its name, and whether one of the copies has another Nr. */
function retransmissions(frames: readonly Frame[]): readonly { readonly name: string; readonly renewed: boolean }[] {
  const first = new Map<string, Frame>();
  return frames.flatMap((frame) => {
    const name = nameOf(frame);
    if (name === "ACK") return [];
    const key = `${frame["ip.src"]} ${name} ${frame["l2tp.Ns"]}`;
    const earlier = first.get(key);
    if (earlier === undefined) {
      first.set(key, frame);
      return [];
    }
    return [{ name, renewed: String(earlier["l2tp.Nr"]) !== String(frame["l2tp.Nr"]) }];
  });
}
