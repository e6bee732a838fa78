import { setTimeout as pause } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { SessionReport, TunnelReport } from "../../../src/daemon/show-report.ts";
import type { DaemonProcess } from "../../support/daemon-process.ts";
import { avp } from "../../support/wire.ts";
import { expectFlawless, type Said, saidIn, sentences } from "./exchange.ts";
import { SERVER, SoftEtherLab, softEther } from "./lab.ts";
import { LossyProxy } from "./lossy-proxy.ts";

const available = await softEther();
const missing = "missing" in available ? ` (${available.missing})` : "";

const UP_MS = 30_000;
const SOON_MS = 10_000;
/** A HELLO after 2 s at the latest, and five transmissions of it, beside other tests. */
const DEAD_PEER_MS = 25_000;
const TWO_MINUTES_MS = 120_000;
const SHORT_TIMING = "configuration-warning";
const CLOSED = "the peer closed the control connection (StopCCN)";

/** Each test has a server process of its own, so they run side by side. */
describe.skipIf(missing !== "").concurrent(`SoftEther VPN Server, UDP${missing}`, { timeout: TWO_MINUTES_MS }, () => {
  test("a tunnel and a session, our CDN, the session once more, our StopCCN", () =>
    inLab(async (lab) => {
      const capture = await lab.capture();
      await lab.startServer();
      const daemon = lab.startDaemon();
      const tunnel = await daemon.untilUp(UP_MS);
      expect(tunnel).toMatchObject({
        peer: `${SERVER}:1701`,
        encapsulation: "udp",
        remote_ccid: 1,
        peer_router_id: 0,
        wrong_digests: 0,
        last_error: "",
      });
      expect(tunnel.peer_hostname).not.toBe("");
      expect(session(tunnel)).toMatchObject({
        pseudowire: "ethernet",
        l2_sublayer: "none",
        remote_sequencing: "none",
        remote_cookie_size: 0,
        circuit_status: { local: "up", remote: "up" },
        last_error: "",
      });
      // Its Vendor Name is Yamaha's.
      expect(tunnel).toMatchObject({ dialect: "yamaha", dialect_by: "Vendor Name" });
      const events = ["ready", "control-connection-established", "dialect-recognised", "session-established"];
      expect(eventsOf(daemon)).toEqual(events);

      // Its CDN in return names a Local Session ID that was never assigned.
      expect(await daemon.command("close", "hub/lan42")).toMatchObject({ code: 0, stderr: "" });
      await daemon.untilLogged("its CDN", SOON_MS, ({ event }) => event === "unknown-session");
      const closed = await daemon.untilTunnel("closed", SOON_MS, (each) => session(each).state === "idle");
      expect(closed).toMatchObject({ state: "established", local_ccid: tunnel.local_ccid });

      expect(await daemon.command("open", "hub/lan42")).toMatchObject({ code: 0, stderr: "" });
      const again = await daemon.untilUp(UP_MS);
      expect(again.local_ccid).toBe(tunnel.local_ccid);
      expect(session(again).remote_session_id).not.toBe(session(tunnel).remote_session_id);

      expect(await daemon.stop("SIGTERM")).toMatchObject({ code: 0 });
      expect(daemon.stderr).toBe("");
      const said = await saidIn(await capture.stop());
      expectFlawless(said);
      const setUp = ["site SCCRQ", "server SCCRP", "site SCCCN", "site ICRQ", "server ICRP", "site ICCN"];
      expect(sentences(said).slice(0, setUp.length)).toEqual(setUp);
      expect(sentences(said).slice(setUp.length)).toEqual([
        ...["site CDN", "server CDN", "site ICRQ", "server ICRP", "site ICCN"],
        // It clears the session first, although a StopCCN does that.
        ...["site StopCCN", "server CDN", "server StopCCN"],
      ]);
      // Without authentication nothing is acknowledged by an ACK, and there is no digest.
      expect(said.filter(({ name }) => name === "ACK")).toEqual([]);
      expect(said.some(({ name }) => name === "ZLB")).toBe(true);
      expect(said.flatMap(({ digests }) => digests)).toEqual([]);
    }));

  test("digest without a secret: each message of ours has a right one, and its own have none", () =>
    inLab(async (lab) => {
      const capture = await lab.capture();
      await lab.startServer();
      const daemon = lab.startDaemon({ tunnel: 'digest = "sha1"' });
      await daemon.untilUp(UP_MS);
      expect(await daemon.command("close", "hub/lan42")).toMatchObject({ code: 0 });
      await pause(4_000);
      expect((await daemon.tunnel())?.state).toBe("established");
      expect(await daemon.stop("SIGTERM")).toMatchObject({ code: 0 });
      const said = await saidIn(await capture.stop());
      expectFlawless(said);
      // Its Vendor Name is Yamaha's, and that dialect acknowledges with ZLBs, which have no room for a digest.
      const right = ({ from, name }: Said) => (from === "site" && name !== "ZLB" ? ["sha1 0"] : []);
      expect(said.filter((each) => String(each.digests) !== String(right(each)))).toEqual([]);
      expect(said.filter(({ name }) => name === "ACK")).toEqual([]);
      const names = new Set(said.filter(({ from }) => from === "site").map(({ name }) => name));
      const all = ["SCCRQ", "SCCCN", "ICRQ", "ICCN", "HELLO", "CDN", "StopCCN"];
      expect(all.filter((name) => !names.has(name))).toEqual([]);
    }));

  test("a secret, which it knows nothing of: no connection, and show and log say why", () =>
    inLab(async (lab) => {
      await lab.startServer();
      const daemon = lab.startDaemon({ tunnel: 'secret = "correct horse"' });
      const tunnel = await daemon.untilTunnel("told", DEAD_PEER_MS, ({ last_error }) => last_error !== "");
      expect(tunnel.last_error).toMatch(
        /^messages dropped because their digest is missing or wrong: \d+; is the secret/,
      );
      expect(tunnel.wrong_digests).toBeGreaterThan(0);
      expect(daemon.log.find(({ event }) => event === "digest-wrong")).toMatchObject({
        level: "warn",
        message: expect.stringMatching(/its digest is missing or wrong; is the secret the same at both ends\?/),
      });
    }));

  test("ten sessions in one tunnel; one of them closed and opened leaves the others alone", () =>
    inLab(async (lab) => {
      const capture = await lab.capture();
      await lab.startServer();
      const names = Array.from({ length: 10 }, (_, index) => `lan${index}`);
      const daemon = lab.startDaemon({ sessions: names });
      const tunnel = await daemon.untilUp(UP_MS);
      expect(tunnel.sessions.map(({ name }) => name)).toEqual(names);
      expect(new Set(tunnel.sessions.map(({ remote_session_id }) => remote_session_id)).size).toBe(names.length);

      expect(await daemon.command("close", "hub/lan3")).toMatchObject({ code: 0 });
      const nine = await daemon.untilTunnel("closed", SOON_MS, (each) => session(each, "lan3").state === "idle");
      expect(nine.sessions.filter(({ state }) => state === "established")).toHaveLength(9);
      expect(await daemon.command("open", "hub/lan3")).toMatchObject({ code: 0 });
      const ten = await daemon.untilUp(UP_MS);
      const others = ({ sessions }: TunnelReport) =>
        sessions.filter(({ name }) => name !== "lan3").map(({ remote_session_id }) => remote_session_id);
      expect(others(ten)).toEqual(others(tunnel));
      expect(await daemon.stop("SIGTERM")).toMatchObject({ code: 0 });
      const said = await saidIn(await capture.stop());
      expectFlawless(said);
      expect(new Set(said.filter(({ name }) => name === "ICRP").map(({ from }) => from))).toEqual(new Set(["server"]));
    }));

  test("HELLO both ways for 65 s: the same connection all the time", () =>
    inLab(async (lab) => {
      const capture = await lab.capture();
      await lab.startServer();
      const daemon = lab.startDaemon({ tunnel: 'hello_interval = "5s"' });
      const before = await daemon.untilUp(UP_MS);
      await pause(65_000);
      const after = await daemon.untilUp(SOON_MS);
      expect(idsOf(after)).toEqual(idsOf(before));
      expect(await daemon.stop("SIGTERM")).toMatchObject({ code: 0 });
      const said = await saidIn(await capture.stop());
      expectFlawless(said);
      const hellos = (who: Said["from"]) => said.filter(({ from, name }) => from === who && name === "HELLO");
      // Every 8.8 s; ours after 5 s of silence.
      expect(hellos("server").length).toBeGreaterThanOrEqual(6);
      expect(hellos("server").length).toBeLessThanOrEqual(9);
      expect(hellos("site").length).toBeGreaterThanOrEqual(6);
      expect(hellos("site").length).toBeLessThanOrEqual(15);
      for (const hello of said.filter(({ name }) => name === "HELLO")) {
        expect(
          said.some((each) => each.from !== hello.from && each.nr === hello.ns + 1),
          "acknowledged",
        ).toBe(true);
      }
    }));

  test("its SIGTERM: CDN and StopCCN end session and connection at once, and another server is found", () =>
    inLab(async (lab) => {
      const capture = await lab.capture();
      const server = await lab.startServer();
      const daemon = lab.startDaemon();
      const before = await daemon.untilUp(UP_MS);
      await server.stop("SIGTERM");
      await daemon.untilLogged("its StopCCN", SOON_MS, ({ event }) => event === "control-connection-failed");
      expect(daemon.log.filter(({ level, event }) => level === "warn" && event !== SHORT_TIMING)).toMatchObject([
        { session: "lan42", message: "the peer closed the session (CDN): administrative reasons (result 3)" },
        { tunnel: "hub", message: `${CLOSED}: reserved result code (result 0, error 1536)` },
      ]);
      const down = await daemon.untilTunnel("down", SOON_MS, ({ state }) => state !== "established");
      expect(down.last_error).toBe(`${CLOSED}: reserved result code (result 0, error 1536)`);
      expect(session(down).last_error).toMatch(/^the peer closed the session \(CDN\)/);

      await lab.startServer();
      const after = await daemon.untilUp(UP_MS);
      expect(after.local_ccid).not.toBe(before.local_ccid);
      expect(after).toMatchObject({ last_error: "" });
      expect(await daemon.stop("SIGTERM")).toMatchObject({ code: 0 });
      expectFlawless(await saidIn(await capture.stop()));
    }));

  test("killed and started again: the keepalive finds out, and the session is back", () =>
    inLab(async (lab) => {
      const capture = await lab.capture();
      const server = await lab.startServer();
      const daemon = lab.startDaemon();
      const before = await daemon.untilUp(UP_MS);
      await server.stop("SIGKILL");
      await lab.startServer();
      const after = await daemon.untilTunnel("anew", DEAD_PEER_MS, ({ state, local_ccid, sessions }) => {
        return state === "established" && local_ccid !== before.local_ccid && sessions[0]?.state === "established";
      });
      expect(after.last_error).toBe("");
      expect(daemon.log.find(({ event }) => event === "control-connection-failed")?.message).toMatch(/dead/);
      expect(await daemon.stop("SIGTERM")).toMatchObject({ code: 0 });
      expectFlawless(await saidIn(await capture.stop()));
    }));

  test("our own crash: it ignores the old id for a minute, and a new daemon has a new one, which it takes at once", () =>
    inLab(async (lab) => {
      const sccrq = (ccid: number) => {
        const id = ccid.toString(16).padStart(8, "0");
        return `c803003800000000000000008008000000000001${avp(7, "736974652d61")}${avp(60, "c0000201")}${avp(61, id)}`;
      };
      // What the server says to this message as long as it has not heard the id.
      const another = await lab.startServer();
      expect(await lab.ask(sccrq(0x1020_3040))).toBe("SCCRP");
      await another.stop("SIGKILL");
      const capture = await lab.capture();
      await lab.startServer();
      const crashed = lab.startDaemon();
      const before = await crashed.untilUp(UP_MS);
      await crashed.stop("SIGKILL");
      expect(await lab.ask(sccrq(before.local_ccid))).toBe("silence");
      const daemon = lab.startDaemon();
      const after = await daemon.untilUp(UP_MS);
      expect(after.local_ccid).not.toBe(before.local_ccid);
      expect(after.remote_ccid).not.toBe(before.remote_ccid);
      expect(await daemon.stop("SIGTERM")).toMatchObject({ code: 0 });
      expectFlawless(await saidIn(await capture.stop()));
    }));

  test("one message in five is lost, either way: everything comes up, stays up and ends as it should", () =>
    inLab(async (lab) => {
      const capture = await lab.capture({ device: "lo", filter: "udp port 7000" });
      await lab.startServer();
      const proxy = await LossyProxy.start(lab.site, { server: SERVER, share: 0.2, seed: 3931 });
      const names = ["lan1", "lan2", "lan3", "lan4", "lan5"];
      const daemon = lab.startDaemon({
        tunnel: [
          'peer = "127.0.0.1"\npeer_port = 7000\nhello_interval = "1s"',
          'retransmit = { initial = "300ms", max = "8s", retries = 8, sccrq_retries = 8 }',
        ].join("\n"),
        sessions: names,
      });
      const before = await daemon.untilUp(UP_MS);
      await pause(15_000);
      const after = await daemon.untilUp(SOON_MS);
      expect(idsOf(after)).toEqual(idsOf(before));
      expect(await daemon.command("close", "hub/lan2")).toMatchObject({ code: 0 });
      expect(await daemon.command("open", "hub/lan2")).toMatchObject({ code: 0 });
      expect((await daemon.untilUp(UP_MS)).local_ccid).toBe(before.local_ccid);
      expect(await daemon.stop("SIGTERM", UP_MS)).toMatchObject({ code: 0 });

      const { forth, back } = await proxy.counts();
      // How many messages there are depends on time, so that only their order of loss is always the same.
      for (const { dropped } of [forth, back]) expect(dropped).toBeGreaterThan(0);
      const said = await saidIn(await capture.stop(), 7000);
      expectFlawless(said);
      const sent = said.filter(({ from, name }) => from === "site" && name !== "ZLB");
      expect(new Set(sent.map(({ ns }) => ns)).size).toBeLessThan(sent.length);
    }));
});

async function inLab(body: (lab: SoftEtherLab) => Promise<void>): Promise<void> {
  const lab = new SoftEtherLab("folder" in available ? available.folder : "");
  try {
    await body(lab);
  } finally {
    lab.remove();
  }
}

function session(tunnel: TunnelReport, name = "lan42"): SessionReport {
  const found = tunnel.sessions.find((each) => each.name === name);
  if (found === undefined) throw new Error(`no session ${name} in ${JSON.stringify(tunnel)}`);
  return found;
}

function idsOf(tunnel: TunnelReport): readonly number[] {
  return [tunnel.local_ccid, ...tunnel.sessions.map(({ local_session_id }) => local_session_id)];
}

/** What a user of log_level "info" sees, without the warning about short timing. */
function eventsOf(daemon: DaemonProcess): readonly string[] {
  const shown = daemon.log.filter(({ level, event }) => level !== "debug" && event !== SHORT_TIMING);
  return shown.map(({ event }) => event);
}
