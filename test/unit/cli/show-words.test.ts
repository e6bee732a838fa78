import { describe, expect, test } from "vitest";
import { sessionInWords, tunnelInWords } from "../../../src/cli/show-words.ts";
import type { TunnelDetails } from "../../../src/control/details.ts";
import type { TunnelView } from "../../../src/control/view.ts";
import { buildShowReport, type TunnelReport } from "../../../src/daemon/show-report.ts";
import { detailsFor, sessionView, tunnelView } from "../../support/show-views.ts";
import { session, tunnel } from "../../support/sites.ts";

const START = Date.UTC(2026, 0, 2, 3, 4, 5);
const now = new Date(START + 8_000_000);

function report(
  view: TunnelView,
  changes: Partial<TunnelDetails> = {},
  mtus: ReadonlyMap<number, number> = new Map(),
): TunnelReport {
  const { tunnels } = buildShowReport({
    view: { hostname: "site-a", routerId: 1, tunnels: [view] },
    details: [detailsFor(view, changes)],
    counters: [],
    mtus,
    datapath: "kernel",
    version: "1.2.3",
    toDate: (instant) => new Date(START + instant),
  });
  return tunnels[0] as TunnelReport;
}

test("a tunnel in full words", () => {
  expect(tunnelInWords(report(tunnelView()), now, 80)).toBe(`tunnel paris
  State            established since 2026-01-02 03:05:45 UTC, 2h11m ago; this
                   end opened it
  Last ended       2026-01-02 03:05:35 UTC, 2h11m ago, by the peer: the peer
                   closed the control connection (StopCCN): shutting down
  So far           established 2 times, failed 3 times
  Mode             negotiated; either end opens the control connection
  Peer             192.0.2.2:1701, by UDP
  Peer's identity  host name pe2, Router ID 192.0.2.2, vendor "Cisco Systems,
                   Inc."
  Dialect          cisco, recognised by AVPs of vendor 9
  Connection IDs   3735928559 at this end, 7 at the peer's
  Authentication   none; 5 messages dropped for their digest
  Hello            after 57 s of silence (configured: 60 s); the next one in 30s
  Retransmission   the next in 2s, 1 so far; after 1 s, doubling to 8 s, 10
                   times (SCCRQ: 10)
  Windows          we take 16, the peer takes 4 messages at once; Ns 11, Nr 9
  Congestion       2 may be under way (slow start, threshold 4); 1
                   unacknowledged, 0 waiting
  Messages         20 sent, 1 of them again; 19 received

  session lan42
    State            established since 2026-01-02 03:07:25 UTC, 2h10m ago
    Last ended       never since the daemon began
    So far           established once, failed 0 times
    Interface        l2-paris42, MTU as the path allows
    Pseudowire       ethernet, Remote End ID "lan42"
    Call             incoming, placed by whoever opened the control connection
    Session IDs      4294967295 at this end, 12 at the peer's
    Cookies          8 octets in packets to us, 4 octets in packets to the peer
    Sublayer         none
    Sequencing       the peer sequences none, this end none
    Circuits         up at this end (no interface is watched), down at the
                     peer's
    Peer's circuit   1 hardware overruns, 2 buffer overruns, 3 timeouts, 4
                     alignment errors
    Received         0 packets, 0 octets
    Receive errors   0, of them 0 with a wrong cookie and 0 out of sequence
    Sent             0 packets, 0 octets, 0 errors
`);
});

test("a tunnel that is down, and its session", () => {
  const view = tunnelView({
    state: "idle",
    localControlConnectionId: 0,
    remoteControlConnectionId: 0,
    peer: "pe2.example.net",
    peerHostname: "",
    peerRouterId: undefined,
    dialect: "",
    dialectBy: "",
    wrongDigests: 0,
    lastError: "no answer from 192.0.2.2 port 1701: the peer is dead or cannot be reached",
    sessions: [],
  });
  const configuration = tunnel("paris", { peer: "pe2.example.net", helloIntervalMs: 0, encapsulation: "ip" });
  const down = { configuration, connection: undefined, ended: undefined, nextAttempt: 8_004_000 };
  expect(tunnelInWords(report(view, down), now)).toBe(`tunnel paris
  State            idle since 2026-01-02 03:05:45 UTC, 2h11m ago
  Error            no answer from 192.0.2.2 port 1701: the peer is dead or cannot be reached
  Last ended       never since the daemon began
  Next attempt     in 4s
  So far           established 2 times, failed 3 times
  Mode             negotiated; either end opens the control connection
  Peer             pe2.example.net, by UDP
  Dialect          to be recognised from what the peer sends
  Authentication   none
  Hello            off
  Retransmission   nothing is unacknowledged; after 1 s, doubling to 8 s, 10 times (SCCRQ: 10)
  Messages         20 sent, 1 of them again; 19 received
`);
});

describe("what differs from the configuration is said with it", () => {
  const configured = (changes: Parameters<typeof tunnel>[1]) => ({ configuration: tunnel("paris", changes) });
  const ROWS: readonly (readonly [changes: Parameters<typeof tunnel>[1], line: RegExp])[] = [
    [{ peer: "pe2.example.net" }, /Peer +192\.0\.2\.2:1701 \(configured: pe2\.example\.net port 1701\), by UDP/],
    [{ peer: "192.0.2.2", peerPort: 1702 }, /Peer +192\.0\.2\.2:1701 \(configured: 192\.0\.2\.2 port 1702\)/],
    [{ peer: undefined, role: "responder" }, /Peer +192\.0\.2\.2:1701 \(configured: any\)/],
    [{ peer: "192.0.2.2" }, /Peer +192\.0\.2\.2:1701, by UDP/],
    [{ receiveWindow: 8 }, /we take 16 \(configured: 8\)/],
    [{ static: { localTunnelId: 1, remoteTunnelId: 2, watched: false } }, /static: typed in at both ends/],
    [{ static: { localTunnelId: 1, remoteTunnelId: 2, watched: true } }, /the peer is watched with HELLO/],
  ];
  test.each(ROWS)("%j: %s", (changes, line) => {
    expect(tunnelInWords(report(tunnelView(), configured(changes)), now, 200)).toMatch(line);
  });

  const OFF = { secrets: [], digest: "none", hidden: false, chapPassword: undefined } as const;
  const SECRET = { ...OFF, secrets: [Uint8Array.of(1)], digest: "md5" } as const;
  const WORDS = "shared secret, HMAC-MD5";
  const THEN = "from the next control connection on (l2tpv3-lcc close paris, then open)";

  test.each([
    ["nothing, and nothing is wanted", OFF, OFF, "none"],
    ["the secret", SECRET, SECRET, WORDS],
    ["nothing yet", OFF, SECRET, `none in force; ${WORDS} ${THEN}`],
    ["the secret still", SECRET, OFF, `${WORDS} in force; none ${THEN}`],
    ["nothing, for there is no connection", undefined, SECRET, WORDS],
  ])("what authenticates the connection: %s", (_, inForce, wanted, words) => {
    const view = tunnelView({ wrongDigests: 0 });
    const { connection } = detailsFor(view);
    const changes = {
      configuration: tunnel("paris", { authentication: wanted }),
      connection: inForce && connection && { ...connection, authentication: inForce },
    };
    expect(tunnelInWords(report(view, changes), now, 200).replaceAll(/\n {19}/g, " ")).toContain(
      `Authentication   ${words}\n`,
    );
  });

  test("of a session", () => {
    const view = tunnelView({ sessions: [sessionView({ l2Sublayer: "default", localSequencing: "none" })] });
    const own = session("lan42", { sequencing: "all", cookieSize: 4, mtu: 1_400, bridge: "br0", circuit: "eth1" });
    const sessions = [{ configuration: own, ended: undefined, nextAttempt: 8_060_000 }];
    const { name, sessions: reports } = report(view, { sessions });
    const [first] = reports;
    const text = first === undefined ? "" : sessionInWords(name, first, now, 100);
    expect(text).toMatch(/^session paris\/lan42\n/);
    expect(text).toMatch(/Sublayer +default \(configured: none\)/);
    expect(text).toMatch(/Sequencing +the peer sequences none \(configured: all\), this end none/);
    expect(text).toMatch(/Cookies +8 octets in packets to us, 4 octets in packets to the peer \(configured: 4\)/);
    expect(text).toMatch(/Interface +l2-paris42, MTU 1400, in bridge br0/);
    expect(text).toMatch(/Next attempt +in 1m0s/);
    expect(text).toMatch(/Circuits +up at this end \(eth1\), down at the peer's/);
  });
});

test.each([
  ["auto", undefined, "MTU as the path allows"],
  ["auto", 1_442, "MTU 1442, as the path allows"],
  [1_400, 1_400, "MTU 1400"],
  [1_400, undefined, "MTU 1400"],
  [1_400, 1_300, "MTU 1300 (configured: 1400)"],
] as const)("the MTU that is in force: %s, %s", (mtu, device, words) => {
  const own = { configuration: session("lan42", { mtu }), ended: undefined, nextAttempt: undefined };
  const mtus = new Map(device === undefined ? [] : [[sessionView().localSessionId, device]]);
  const { name, sessions } = report(tunnelView(), { sessions: [own] }, mtus);
  const text = sessions.map((each) => sessionInWords(name, each, now, 100)).join("");
  expect(text).toContain(`Interface        l2-paris42, ${words}\n`);
});

test("what a peer says cannot steer the terminal", () => {
  const text = tunnelInWords(report(tunnelView({ peerHostname: "\u001b[2Jx", lastError: "a\u0007b" })), now, 80);
  expect(text.replaceAll("\n", "")).not.toMatch(/\p{Cc}/u);
});
