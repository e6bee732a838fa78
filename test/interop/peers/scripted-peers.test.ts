import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { TunnelReport } from "../../../src/daemon/show-report.ts";
import type { DaemonProcess } from "../../support/daemon-process.ts";
import { ascii, judge } from "../../support/digest-by-hand.ts";
import { writePcap } from "../../support/pcap.ts";
import { dissect, tsharkMissing } from "../../support/tshark.ts";
import { CISCO, CISCO_IETF } from "./cisco.ts";
import { DaemonOnLoopback } from "./daemon-on-loopback.ts";
import { type Personality, text } from "./personality.ts";
import { MIKROTIK, NEC, SEIL, YAMAHA } from "./small-routers.ts";
import { WirePeer } from "./wire-peer.ts";

const SECRET = "correct horse";
const UP_MS = 60_000;
const LAST_WORDS_MS = 30_000;

interface Case {
  readonly peer: Personality;
  /** Who opens the connection and places the call. */
  readonly opens: "we" | "peer";
  readonly digest?: "md5" | "sha1";
  /** Both ends hide their cookies, and we all that may be hidden. */
  readonly hidden?: boolean;
  /** Octets of the peer's cookie, and of ours. */
  readonly cookie: 0 | 4 | 8;
  /** The Remote End ID that the peer sends, in hex; we configure "100". */
  readonly endId?: string;
  /** More keys of the tunnel, and of its session. */
  readonly tunnel?: string | undefined;
  readonly session?: string;
  readonly dialect: string;
  readonly feature: string;
}

function ciscoCases(peer: Personality, dialect: string): readonly Case[] {
  const opens = ["we", "peer"] as const;
  return opens.flatMap((who) => [
    { peer, opens: who, dialect, cookie: 0, feature: "no digest, no cookie" },
    { peer, opens: who, dialect, cookie: 4, feature: "no digest, cookie 4" },
    { peer, opens: who, dialect, cookie: 8, digest: "md5", feature: "digest md5, cookie 8" },
    { peer, opens: who, dialect, cookie: 4, digest: "sha1", feature: "digest sha1, cookie 4" },
    { peer, opens: who, dialect, cookie: 4, digest: "md5", hidden: true, feature: "digest md5, hidden cookie 4" },
    { peer, opens: who, dialect, cookie: 8, digest: "sha1", hidden: true, feature: "digest sha1, hidden cookie 8" },
  ]);
}

const CASES: readonly Case[] = [
  ...ciscoCases(CISCO, "cisco"),
  ...ciscoCases(CISCO_IETF, "cisco-ietf"),
  { peer: CISCO, opens: "peer", dialect: "cisco", cookie: 0, endId: "00000064", feature: "end id in four octets" },
  { peer: CISCO, opens: "we", dialect: "cisco", cookie: 8, tunnel: 'dialect = "cisco"', feature: "dialect fixed" },
  { peer: YAMAHA, opens: "we", dialect: "yamaha", cookie: 0, tunnel: 'dialect = "yamaha"', feature: "dialect fixed" },
  { peer: YAMAHA, opens: "we", dialect: "yamaha", cookie: 0, feature: "bare SCCRQ, text end id" },
  { peer: YAMAHA, opens: "peer", dialect: "yamaha", cookie: 0, feature: "bare SCCRQ, text end id" },
  { peer: MIKROTIK, opens: "we", dialect: "mikrotik", cookie: 4, feature: "sublayer, cookie 4" },
  {
    peer: MIKROTIK,
    opens: "peer",
    dialect: "mikrotik",
    cookie: 8,
    digest: "md5",
    feature: "sublayer, digest md5, cookie 8",
  },
  { peer: SEIL, opens: "we", dialect: "ietf", cookie: 0, feature: "selected by name and Router ID" },
  { peer: SEIL, opens: "peer", dialect: "ietf", cookie: 0, feature: "selected by name and Router ID" },
  {
    peer: NEC,
    opens: "we",
    dialect: "ietf",
    cookie: 8,
    digest: "md5",
    hidden: true,
    feature: "hides the cookie alone",
  },
  {
    peer: NEC,
    opens: "peer",
    dialect: "ietf",
    cookie: 4,
    digest: "md5",
    hidden: true,
    feature: "hides the cookie alone",
  },
];

const titled = CASES.map((each, index) => [each.peer.make, each.feature, `${each.opens} opens`, index] as const);

let host: DaemonOnLoopback;
let daemon: DaemonProcess;
const peers: WirePeer[] = [];

function authenticationOf({ digest }: Case) {
  return digest === undefined ? {} : { authentication: { secret: ascii(SECRET), digest } };
}

function tunnelOf(each: Case, index: number): string {
  const port = peers[index]?.endpoint.port ?? 0;
  const keys = [
    `[tunnel.t${index}]`,
    `peer = "127.77.1.${index + 1}"`,
    `local = "${host.endpoint.address}"`,
    each.opens === "we" ? `role = "initiator"\npeer_port = ${port}\nlocal_port = 0` : 'role = "responder"',
    ...(each.digest === undefined ? [] : [`secret = "${SECRET}"`, `digest = "${each.digest}"`]),
    ...(each.hidden === true ? ["hidden = true"] : []),
    ...(each.peer === SEIL ? ['peer_hostname = "seil-osaka"', 'peer_router_id = "10.0.0.1"'] : []),
    each.tunnel ?? "",
    `[tunnel.t${index}.session.s]`,
    'remote_end_id = "100"',
    `cookie_size = ${each.cookie}`,
    each.session ?? "",
  ];
  return keys.join("\n");
}

/** The whole setup from the peer's side. Returns what our request or reply said. */
async function setUp(peer: WirePeer, each: Case) {
  const cookie = "c0ffee0102030405".slice(0, 2 * each.cookie);
  if (each.opens === "peer") {
    const connection = await peer.open();
    return { connection, call: await peer.call(each.endId ?? text("100"), cookie) };
  }
  const connection = await peer.accept();
  return { connection, call: await peer.answerCall(cookie) };
}

/** Before our first message: it has spoken first, or is configured. */
function knownFromTheStart({ tunnel, opens }: Pick<Case, "tunnel" | "opens">): boolean {
  return opens === "peer" || tunnel !== undefined;
}

const SETUPS: Promise<Awaited<ReturnType<typeof setUp>>>[] = [];
let tunnels: readonly TunnelReport[] = [];
let goodbyes: readonly string[] = [];

describe("scripted peers over UDP", () => {
  beforeAll(async () => {
    host = await DaemonOnLoopback.at("127.77.0.1");
    for (const [index, each] of CASES.entries()) {
      const address = `127.77.1.${index + 1}`;
      const hidesCookie = each.hidden === true;
      const common = { personality: each.peer, address, daemon: host.endpoint, hidesCookie };
      peers.push(await WirePeer.bind({ ...common, ...authenticationOf(each) }));
    }
    daemon = await host.start(CASES.map(tunnelOf).join("\n"));
    for (const [index, peer] of peers.entries()) SETUPS.push(setUp(peer, CASES[index] as Case));
    await Promise.allSettled(SETUPS);
    const up = (tunnel: TunnelReport) => tunnel.sessions[0]?.state === "established";
    const deadline = Date.now() + UP_MS;
    do tunnels = (await daemon.show())?.tunnels ?? [];
    while (!tunnels.every(up) && Date.now() < deadline);
    const farewells = peers.map((peer) => peer.expect("StopCCN").then(({ avps }) => avps.get("1") ?? ""));
    await daemon.stop("SIGTERM", LAST_WORDS_MS);
    goodbyes = await Promise.all(farewells);
  });
  afterAll(() => {
    for (const peer of peers) peer.close();
    host.remove();
  });

  test.each(titled)("B134 A31 %s: %s, %s", async (_make, _feature, _who, index) => {
    const each = CASES[index] as Case;
    const said = await SETUPS[index];
    const report = tunnels[index] as TunnelReport;
    expect(report).toMatchObject({ state: "established", dialect: each.dialect, last_error: "" });
    expect(report.sessions[0]).toMatchObject({
      state: "established",
      local_cookie_size: each.cookie,
      remote_cookie_size: each.cookie,
      l2_sublayer: each.peer === MIKROTIK ? "default" : "none",
      circuit_status: { local: "up", remote: "up" },
    });
    expect((said?.call.avps.get("65") ?? "").length).toBe(2 * each.cookie);
    if (each.opens === "we") expect(said?.call.avps.get("66")).toBe(text("100"));
    expect(peers[index]?.faults).toEqual([]);
    // SIGTERM: shutting down.
    expect(goodbyes[index]?.slice(0, 4)).toBe("0006");
  });

  test("B135 Cisco with protocol l2tpv3 hears its own AVPs too, the others do not", async () => {
    for (const [index, each] of CASES.entries()) {
      const { connection, call } = (await SETUPS[index]) ?? { connection: undefined, call: undefined };
      const isCisco = each.peer === CISCO;
      // Nothing that is hidden stands beside it in the clear.
      const wantsIds = isCisco && each.hidden !== true;
      expect(call?.list.includes("v9/3"), `${index}`).toBe(wantsIds);
      expect(connection?.list.includes("v9/10"), `${index}`).toBe(isCisco && knownFromTheStart(each));
    }
  });

  test("a Yamaha gets the bare SCCRQ and SCCRP where it is known, and nothing unknown with M where it is not", async () => {
    for (const [index, { peer, tunnel, opens }] of CASES.entries()) {
      if (peer !== YAMAHA) continue;
      const expected = knownFromTheStart({ tunnel, opens })
        ? ["0", "7", "60", "61", "62"]
        : ["0", "7", "60", "61", "62", "10"];
      expect((await SETUPS[index])?.connection.list).toEqual(expected);
    }
  });

  test("D02 D06 C08 every digest is right, by hand", () => {
    for (const [index, peer] of peers.entries()) {
      const { digest } = CASES[index] as Case;
      if (digest === undefined) continue;
      for (const { name, digests } of judge(
        peer.transcript.map((each, number) => ({ ...each, number, at: 0 })),
        [ascii(SECRET)],
      )) {
        expect(digests, `${index} ${name}`).toEqual([`${digest} 0`]);
      }
    }
  });

  const missing = tsharkMissing();
  describe.skipIf(missing !== undefined)(`tshark${missing ? ` (${missing})` : ""}`, () => {
    const transcripts = (signed: boolean) =>
      peers.filter((_, index) => (CASES[index]?.digest !== undefined) === signed).flatMap((peer) => peer.transcript);

    /** Of the peers' AVPs: Cisco's 115 has no meaning that anybody knows, and an end id is shown as if it were text. */
    const EXCUSED: readonly string[] = ["Vendor-Specific AVP data", "Trailing stray characters"];

    async function judged(signed: boolean, options: readonly string[] = ["-o", `l2tp.shared_secret:${SECRET}`]) {
      const file = join(host.directory, `${signed}.pcap`);
      writePcap(file, transcripts(signed));
      const decodeAs = peers.flatMap(({ endpoint }) => ["-d", `udp.port==${endpoint.port},l2tp`]);
      const fields = ["l2tp.version", "_ws.malformed", "l2tp.avp_length.bad", "_ws.expert.message", "ip.src"];
      return dissect(file, fields, [...decodeAs, ...options]);
    }

    test.each([true, false])("finds nothing malformed, signed %s", async (signed) => {
      const frames = await judged(signed);
      expect(frames.length).toBe(transcripts(signed).length);
      for (const frame of frames) {
        expect(frame).toMatchObject({ "l2tp.version": ["3"] });
        expect(frame["_ws.malformed"] ?? frame["l2tp.avp_length.bad"], JSON.stringify(frame)).toBeUndefined();
        const isOurs = frame["ip.src"]?.[0] === host.endpoint.address;
        // A port of the routers may be one that traceroute uses.
        const said = frame["_ws.expert.message"]?.filter((remark) => !remark.startsWith("Possible traceroute")) ?? [];
        const remarks = said.filter((remark) => isOurs || !EXCUSED.includes(remark));
        expect(remarks, JSON.stringify(frame)).toEqual([]);
      }
    });

    test("D10 finds every digest right, and with another secret every one wrong", async () => {
      const wrong = (secret: string) =>
        judged(true, ["-o", `l2tp.shared_secret:${secret}`, "-Y", "l2tp.incorrect_digest"]);
      expect(await wrong(SECRET)).toEqual([]);
      expect((await wrong("wrong horse")).length).toBe(transcripts(true).length);
    });
  });
});
