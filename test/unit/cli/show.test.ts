import { describe, expect, test } from "vitest";
import { age, renderReport, scaled } from "../../../src/cli/show-table.ts";
import type { LcceView, TunnelView } from "../../../src/control/view.ts";
import { answerShow, buildShowReport, type ShowReport } from "../../../src/daemon/show-report.ts";
import type { SessionCounters } from "../../../src/kernel/datapath.ts";
import { detailsFor, sessionView, tunnelView } from "../../support/show-views.ts";

const START = Date.UTC(2026, 0, 2, 3, 4, 5);
const now = new Date(START + 8_000_000);

const COUNTERS: SessionCounters = {
  localControlConnectionId: 3735928559,
  localSessionId: 4294967295,
  receivedPackets: 1,
  receivedOctets: 2,
  receiveErrors: 3,
  sequenceDiscards: 7,
  cookieDiscards: 8,
  sentPackets: 4,
  sentOctets: 18446744073709,
  sendErrors: 6,
};

const idleTunnel = tunnelView({
  name: "rome",
  state: "idle",
  peer: "",
  localControlConnectionId: 0,
  remoteControlConnectionId: 0,
  peerHostname: "",
  dialect: "",
  dialectBy: "",
  peerRouterId: undefined,
  lastError: "pe3 refused the control connection: not authorised",
  sessions: [
    sessionView({ name: "lan7", state: "idle", localSessionId: 0, remoteSessionId: 0, interfaceName: "l2-rome-lan7" }),
    sessionView({ name: "lan8", state: "idle", localSessionId: 0, remoteSessionId: 0, interfaceName: "l2-rome-lan8" }),
  ],
});

function report(tunnels: readonly TunnelView[], counters: readonly SessionCounters[] = [COUNTERS]): ShowReport {
  const view: LcceView = { hostname: "site-a", routerId: 0xc0000201, tunnels };
  const toDate = (instant: number) => new Date(START + instant);
  const details = tunnels.map((each) => detailsFor(each));
  return buildShowReport({ view, details, counters, datapath: "kernel", version: "1.2.3", toDate });
}

describe("the report", () => {
  test("has every key of the contract", () => {
    expect(JSON.parse(JSON.stringify(report([tunnelView()])))).toEqual({
      schema_version: 1,
      version: "1.2.3",
      hostname: "site-a",
      router_id: 3221225985,
      datapath: "kernel",
      tunnels: [
        {
          name: "paris",
          state: "established",
          netns: null,
          peer: "192.0.2.2:1701",
          local_ccid: 3735928559,
          remote_ccid: 7,
          encapsulation: "udp",
          ipsec: "",
          peer_hostname: "pe2",
          dialect: "cisco",
          dialect_by: "AVPs of vendor 9",
          peer_router_id: 3221225986,
          wrong_digests: 5,
          since: "2026-01-02T03:05:45.000Z",
          last_error: "",
          peer_vendor: "Cisco Systems, Inc.",
          opened_by: "local",
          hello_interval_ms: 57_000,
          authentication_in_force: { authentication: "none", digest: "none", hidden: false, chap: false },
          last_end: {
            by: "peer",
            reason: "the peer closed the control connection (StopCCN): shutting down",
            at: "2026-01-02T03:05:35.000Z",
          },
          timers: {
            next_hello: "2026-01-02T05:17:55.000Z",
            next_retransmission: "2026-01-02T05:17:27.000Z",
            next_attempt: null,
          },
          window: {
            own: 16,
            peer: 4,
            congestion: 2,
            threshold: 4,
            outstanding: 1,
            waiting: 0,
            retransmissions: 1,
            next_ns: 11,
            next_nr: 9,
          },
          messages: { sent: 20, received: 19, retransmitted: 1 },
          outcomes: { established: 2, failed: 3 },
          configured: {
            mode: "dynamic",
            role: "both",
            peer: "192.0.2.2",
            peer_port: 1701,
            local: "auto",
            local_port: 1701,
            dialect: "auto",
            authentication: "none",
            digest: "none",
            hidden: false,
            chap: false,
            hello_interval_ms: 60_000,
            receive_window: 16,
            retransmit: { initial_ms: 1_000, max_ms: 8_000, retries: 10, sccrq_retries: 10 },
          },
          sessions: [
            {
              name: "lan42",
              state: "established",
              local_session_id: 4294967295,
              remote_session_id: 12,
              interface: "l2-paris42",
              mtu: null,
              pseudowire: "ethernet",
              vlan: null,
              l2_sublayer: "none",
              local_sequencing: "none",
              remote_sequencing: "none",
              local_cookie_size: 8,
              remote_cookie_size: 4,
              circuit_status: { local: "up", remote: "down" },
              remote_circuit_errors: { hardware_overruns: 1, buffer_overruns: 2, timeouts: 3, alignments: 4 },
              counters: {
                received_packets: 1,
                received_octets: 2,
                receive_errors: 3,
                sequence_discards: 7,
                cookie_discards: 8,
                sent_packets: 4,
                sent_octets: 18446744073709,
                send_errors: 6,
              },
              since: "2026-01-02T03:07:25.000Z",
              last_error: "",
              last_end: null,
              next_attempt: null,
              outcomes: { established: 1, failed: 0 },
              configured: {
                call: null,
                call_type: "incoming",
                remote_end_id: "lan42",
                cookie_size: 8,
                l2_sublayer: "none",
                sequencing: "none",
                mtu: "auto",
                circuit: null,
                bridge: null,
              },
            },
          ],
        },
      ],
    });
  });

  test("an idle tunnel has zeros, a null Router ID and its error", () => {
    const [tunnel] = report([idleTunnel]).tunnels;
    expect(tunnel).toMatchObject({ local_ccid: 0, remote_ccid: 0, peer_router_id: null });
    expect(tunnel?.last_error).toBe("pe3 refused the control connection: not authorised");
    expect(tunnel?.sessions[0]?.counters).toEqual({
      received_packets: 0,
      received_octets: 0,
      receive_errors: 0,
      sequence_discards: 0,
      cookie_discards: 0,
      sent_packets: 0,
      sent_octets: 0,
      send_errors: 0,
    });
  });
});

describe("selection", () => {
  const whole = report([tunnelView(), idleTunnel]);
  const ROWS: readonly (readonly [name: string, selected: readonly string[]])[] = [
    ["paris", ["paris/lan42"]],
    ["rome", ["rome/lan7", "rome/lan8"]],
    ["rome/lan8", ["rome/lan8"]],
    ["lan7", ["rome/lan7"]],
  ];
  test.each(ROWS)("%s: %j", (name, selected) => {
    const reply = answerShow(whole, { command: "show", name });
    expect(reply.ok).toBe(true);
    const tunnels = reply.ok ? (reply.result as ShowReport).tunnels : [];
    expect(tunnels.flatMap((tunnel) => tunnel.sessions.map((session) => `${tunnel.name}/${session.name}`))).toEqual(
      selected,
    );
  });

  test("without a name: everything", () => {
    expect(answerShow(whole, { command: "show", what: "sessions" })).toEqual({ ok: true, result: whole });
  });

  test("a name that nothing has", () => {
    expect(answerShow(whole, { command: "show", name: "pariss" })).toEqual({
      ok: false,
      error: 'there is no tunnel or session "pariss", did you mean "paris"?',
    });
    expect(answerShow(whole, { command: "show", name: "tunel" })).toEqual({
      ok: false,
      error: 'there is no tunnel or session "tunel", did you mean "tunnel"?',
    });
    expect(answerShow(whole, { command: "show", name: "countres" })).toMatchObject({
      error: expect.stringMatching(/did you mean "counters"\?$/),
    });
    // Behind a subject it was meant for a name.
    expect(answerShow(whole, { command: "show", what: "tunnels", name: "tunel" })).toMatchObject({
      error: 'there is no tunnel or session "tunel"',
    });
    expect(answerShow(whole, { command: "show", name: "paris/lan7" }).ok).toBe(false);
    expect(answerShow(whole, { command: "show", name: "" }).ok).toBe(false);
  });
});

describe("tables", () => {
  const whole = report([tunnelView(), idleTunnel]);

  test.each([
    [{ state: "idle", lastError: "the peer is dead" }, "! the peer is dead"],
    [{ state: "idle", wrongDigests: 3 }, undefined],
  ])("what %o remarks", (changes, remark) => {
    const text = renderReport(report([tunnelView(changes)]), "tunnels", now);
    expect(
      text
        .split("\n")
        .find((line) => line.includes("!"))
        ?.trim(),
    ).toBe(remark);
  });

  const HEAD = "site-a  router id 192.0.2.1  datapath kernel  l2tpv3-lcc 1.2.3";
  const TABLES = [
    [
      undefined,
      `
TUNNEL / SESSION  STATE        PEER / INTERFACE    LOCAL ID  REMOTE ID  SINCE
paris             established  192.0.2.2:1701    3735928559          7  2h11m
  lan42           established  l2-paris42        4294967295         12  2h10m
rome              idle         any                        -          -  2h11m
    ! pe3 refused the control connection: not authorised
  lan7            idle         l2-rome-lan7               -          -  2h10m
  lan8            idle         l2-rome-lan8               -          -  2h10m
`,
    ],
    [
      "tunnels",
      `
TUNNEL  STATE        PEER            PEER HOST NAME  PEER ROUTER ID  DIALECT   UP  SINCE
paris   established  192.0.2.2:1701  pe2             192.0.2.2       cisco    1/1  2h11m
rome    idle         any             -               -               -        0/2  2h11m
    ! pe3 refused the control connection: not authorised
`,
    ],
    [
      "sessions",
      `
SESSION      STATE        INTERFACE     TYPE      COOKIES  CIRCUIT  SINCE
paris/lan42  established  l2-paris42    ethernet  8/4      up/down  2h10m
rome/lan7    idle         l2-rome-lan7  ethernet  8/4      up/down  2h10m
rome/lan8    idle         l2-rome-lan8  ethernet  8/4      up/down  2h10m
`,
    ],
    [
      "counters",
      `
SESSION      RX PACKETS  RX OCTETS  ERRORS  COOKIE  SEQUENCE  TX PACKETS       TX OCTETS  ERRORS
paris/lan42           1          2       3       8         7           4  18446744073709       6
rome/lan7             0          0       0       0         0           0               0       0
rome/lan8             0          0       0       0         0           0               0       0
`,
    ],
  ] as const;
  test.each(TABLES)("show %s", (what, table) => {
    expect(renderReport(whole, what, now)).toBe(`${HEAD}\n${table}`);
  });

  test("nothing to show", () => {
    expect(renderReport(report([]), undefined, now)).toBe(
      "site-a  router id 192.0.2.1  datapath kernel  l2tpv3-lcc 1.2.3\n\nno tunnels\n",
    );
  });

  test.each([undefined, "tunnels", "sessions", "counters"] as const)(
    "%s: the longest values fit 80 columns, and 120, and are whole where nothing limits them",
    (what) => {
      const long = "x".repeat(64);
      const sentence = "the peer at the far end of a long line refused with a text that goes on ".repeat(4).trim();
      const session = sessionView({
        name: long,
        state: "wait-control-conn",
        remoteSessionId: 4294967295,
        interfaceName: "fifteen-letters",
        lastError: sentence,
      });
      const tunnel = tunnelView({
        name: long,
        state: "wait-ctl-reply",
        peer: `${long}.example.net:65535`,
        remoteControlConnectionId: 4294967295,
        peerHostname: long,
        peerRouterId: 0xffff_ffff,
        lastError: sentence,
        sessions: Array.from({ length: 300 }, () => session),
      });
      const counters = {
        ...COUNTERS,
        receivedPackets: 999_999_999_999,
        receivedOctets: 999_999_999_999_999,
        sentPackets: 999_999_999_999,
        sentOctets: 999_999_999_999_999,
      };
      const whole = report([tunnel], [counters]);
      for (const width of [80, 120]) {
        const lines = renderReport(whole, what, now, width).split("\n");
        expect(lines.filter((line) => line.length > width)).toEqual([]);
        expect(lines.some((line) => line.includes("…"))).toBe(true);
      }
      const text = renderReport(whole, what, now);
      expect(text).not.toContain("…");
      expect(text).toContain(what === "counters" ? "999999999999999" : long);
    },
  );

  test("80 columns: names are cut, columns that can be spared are left out, octets are scaled where they must be", () => {
    const names = Array.from({ length: 30 }, () => "x").join("");
    const busy = report([tunnelView({ name: names, peerHostname: "pe2.example.net", peer: "198.51.100.222:1701" })]);
    const shown = (what: "tunnels" | "counters") => renderReport(busy, what, now, 80).split("\n").slice(2);
    expect(shown("tunnels")).toEqual([
      "TUNNEL             STATE        PEER                 PEER HOST NAME    UP  SINCE",
      "xxxxxxxxxxxxxxxx…  established  198.51.100.222:1701  pe2.example.net  1/1  2h11m",
      "",
    ]);
    expect(shown("counters")).toEqual([
      "SESSION             RX PACKETS  RX OCTETS  ERRORS  TX PACKETS  TX OCTETS  ERRORS",
      "xxxxxxxxxxxxxxxxx…           1          2       3           4      18.4T       6",
      "",
    ]);
    const counters = { ...COUNTERS, receivedPackets: 123_456_789_012, receivedOctets: 999_999_999_999_999 };
    expect(
      renderReport(report([tunnelView()], [counters]), "counters", now, 80)
        .split("\n")
        .slice(2),
    ).toEqual([
      "SESSION      RX PACKETS  RX OCTETS  ERRORS  TX PACKETS  TX OCTETS  ERRORS",
      "paris/lan42        123G       1.0P       3           4      18.4T       6",
      "",
    ]);
  });

  test.each([
    [0, "0"],
    [999_999, "999999"],
    [1_000_000, "1.0M"],
    [99_940_000, "99.9M"],
    [99_960_000, "100M"],
    [999_600_000, "1.0G"],
    [18_446_744_073_709, "18.4T"],
  ])("%i octets scaled: %s", (value, text) => {
    expect(scaled(value)).toBe(text);
  });

  test("what a peer says cannot steer the terminal", () => {
    const text = renderReport(
      report([tunnelView({ peerHostname: "\u001b[2Jx\u009b", lastError: "a\u0007b\nc\u0085" })]),
      "tunnels",
      now,
    );
    expect(text).toContain("?[2Jx?");
    expect(text).toContain("! a?b?c?");
    expect(text.replaceAll("\n", "")).not.toMatch(/\p{Cc}/u);
  });
});

describe("ages", () => {
  const ROWS: readonly (readonly [seconds: number, age: string])[] = [
    [-5, "0s"],
    [0, "0s"],
    [59, "59s"],
    [60, "1m0s"],
    [3_599, "59m59s"],
    [3_600, "1h0m"],
    [86_399, "23h59m"],
    [86_400, "1d0h"],
    [400 * 86_400 + 7_200, "400d2h"],
  ];
  test.each(ROWS)("%i s: %s", (seconds, expected) => {
    expect(age(new Date(START).toISOString(), new Date(START + seconds * 1_000))).toBe(expected);
  });
});
