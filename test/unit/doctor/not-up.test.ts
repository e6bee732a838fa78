import { describe, expect, test } from "vitest";
import { answerFrom } from "../../../src/cli/doctor.ts";
import type { SessionView, TunnelView } from "../../../src/control/view.ts";
import { buildShowReport } from "../../../src/daemon/show-report.ts";
import { checkDaemon, type DaemonAnswer } from "../../../src/doctor/daemon.ts";
import { detailsFor, sessionView, tunnelView } from "../../support/show-views.ts";
import { plan } from "./plans.ts";

function answer(tunnels: readonly TunnelView[]): DaemonAnswer {
  const view = { hostname: "site-a", routerId: 1, tunnels };
  const details = tunnels.map((each) => detailsFor(each));
  const toDate = (instant: number) => new Date(instant);
  return answerFrom(buildShowReport({ view, details, counters: [], datapath: "kernel", version: "1", toDate }));
}

describe("what the running daemon knows", () => {
  const judge = (tunnels: readonly TunnelView[], extra: Parameters<typeof plan>[0] = {}) =>
    checkDaemon({ socket: "/s", answer: answer(tunnels), socketExists: true }, plan(extra));
  const lan = (change: Partial<SessionView> = {}) => sessionView({ name: "lan42", ...change });
  const of = (tunnel: Partial<TunnelView>, extra: Parameters<typeof plan>[0] = {}) =>
    judge([tunnelView({ name: "paris", wrongDigests: 0, sessions: [lan()], ...tunnel })], extra);

  test("all is up: one line", () => {
    expect(of({})).toMatchObject([{ status: "ok", found: expect.stringContaining("1 of 1 tunnels established") }]);
  });

  test("a tunnel that is not up: the reason that show prints, and what to do; its sessions are not told again", () => {
    const lastError = "no answer from 192.0.2.9 port 1701: the peer is dead or cannot be reached";
    const sessions = [lan({ state: "idle" })];
    expect(of({ state: "wait-ctl-reply", lastError, sessions }).slice(1)).toEqual([
      {
        check: "tunnel paris",
        status: "warning",
        found: `wait-ctl-reply, not up: ${lastError}`,
        advice: "let UDP 1701 (or IP protocol 115) through in both directions, and look whether the daemon runs there",
      },
    ]);
  });

  test("a wrong secret, seen from either end", () => {
    const advice = expect.stringContaining("compare secret and digest of both ends");
    const lastError =
      "no answer from 192.0.2.9 port 1701: the peer is dead or cannot be reached, or has another secret";
    expect(of({ state: "idle", lastError })[1]).toMatchObject({ status: "warning", advice });
    const dropped =
      "messages dropped because their digest is missing or wrong: 3; is the secret the same at both ends?";
    const found = `idle, not up: ${dropped}`;
    expect(of({ state: "idle", lastError: dropped })[1]).toMatchObject({ status: "warning", found, advice });
  });

  test("a session that is not up in a tunnel that is, even where it says something of its own", () => {
    const session = lan({ state: "idle", lastError: 'call refused: the forwarder does not exist: no session "x"' });
    expect(of({ sessions: [session] })[1]).toMatchObject({
      check: "session paris/lan42",
      status: "warning",
      found: 'idle, not up: call refused: the forwarder does not exist: no session "x"',
      advice: "give both ends the same remote_end_id",
    });
  });

  test.each([
    ["closed by the administrator", "l2tpv3-lcc open paris, when it is to come up"],
    ["StopCCN: the requester is not authorised", "give the peer a tunnel for this address, host name and Router ID"],
    ["no Challenge Response", "give both ends the same chap_password, or neither of them one"],
    [
      "interface l2-x exists already",
      "remove that interface (of another daemon, or of ip l2tp), or configure another name",
    ],
    ["an MTU below 1280 carries no IPv6", "raise the MTU of the path, or set mtu = 1280"],
    ["something else", "see what is told below; l2tpv3-lcc show tunnel paris and trace paris tell more"],
  ])("%s: %s", (lastError, advice) => {
    expect(of({ state: "idle", lastError })[1]?.advice).toBe(advice);
  });

  test("one that only the peer opens", () => {
    expect(of({ state: "idle", lastError: "" }, { tunnel: 'role = "responder"' })[1]?.found).toBe(
      "idle, not up: the peer has not opened it",
    );
  });

  test("a peer with this end's own name", () => {
    expect(of({ peerHostname: "site-a" })[1]).toMatchObject({ check: "host name of tunnel paris", status: "warning" });
    expect(of({ peerHostname: "site-b" })).toHaveLength(1);
  });

  test("what is in the file and not in the daemon", () => {
    const unknown = { status: "warning", found: "the daemon that runs does not know it", advice: "l2tpv3-lcc reload" };
    expect(of({ sessions: [] }).slice(1)).toEqual([{ check: "session paris/lan42", ...unknown }]);
    expect(judge([]).slice(1)).toEqual([{ check: "tunnel paris", ...unknown }]);
  });
});
