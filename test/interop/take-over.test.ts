import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { TunnelReport } from "../../src/daemon/show-report.ts";
import { probeUserspace } from "../../src/kernel/tap.ts";
import { DaemonProcess, until } from "../support/daemon-process.ts";
import { namespacesMissing } from "../support/namespaces.ts";
import { StandInManager } from "../support/stand-in-manager.ts";
import { type Extra, type Site, TwoSites } from "../support/two-sites.ts";

const missing = namespacesMissing();
const tap = probeUserspace();
const UP_MS = 15_000;
const SECRET = 'secret = "the secret of both"\nhidden = true';
/** A process that starts on a busy machine takes longer than the 200 ms of `TwoSites`. */
const PATIENCE = 'retransmit = { initial = "6s", retries = 3, sccrq_retries = 3 }';
const SESSIONS = 60;

let sites: TwoSites;
let manager: StandInManager;
let paris: DaemonProcess;
let lyon: DaemonProcess;
let starts = 0;

describe.skipIf(missing !== undefined)(`one process after the other${missing ? ` (${missing})` : ""}`, () => {
  beforeEach(() => {
    sites = new TwoSites();
    manager = new StandInManager(sites.directory);
  });
  afterEach(() => {
    paris?.signal("SIGKILL");
    manager.close();
    sites.remove();
  });

  /** The next process of the service in Paris. */
  function startParis(configuration: string): DaemonProcess {
    const { namespace } = sites.paris;
    starts += 1;
    paris = new DaemonProcess(manager.spawner(namespace), {
      name: `paris${starts}`,
      directory: sites.directory,
      configuration,
    });
    return paris;
  }

  const both = (extra: Extra) => {
    const lcce = ['datapath = "none"', 'metrics = "127.0.0.1:9101"', extra.lcce ?? ""].join("\n");
    const ofLyon = sites.configuration(sites.lyon, { ...extra, lcce });
    lyon = sites.start(sites.lyon, ofLyon);
    return sites.configuration(sites.paris, { ...extra, lcce });
  };

  /** Of Lyon: messages that it had to send again. */
  async function retransmitted(): Promise<number> {
    const program = `fetch("http://127.0.0.1:9101/metrics").then((r) => r.text()).then(console.log)`;
    const { stdout } = await sites.lyon.namespace.run(process.execPath, ["-e", program]);
    const line = stdout
      .split("\n")
      .find((each) => each.startsWith("l2tpv3_tunnel_control_messages_retransmitted_total{"));
    if (line === undefined) throw new Error(`no such counter: ${stdout}`);
    return Number(line.split(" ").at(-1));
  }

  async function idsOf(daemon: DaemonProcess) {
    const tunnel = await daemon.untilUp(UP_MS);
    const { local_ccid, remote_ccid, since, sessions } = tunnel;
    return { local_ccid, remote_ccid, since: since.slice(0, 19), sessions: sessions.map(sessionIds) };
  }

  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  const troubles = (daemon: DaemonProcess) =>
    daemon.log.filter(
      ({ level, event }) => level === "error" || (level === "warn" && event !== "configuration-warning"),
    );

  test.each([
    ["SIGKILL", ""],
    ["SIGKILL", SECRET],
    ["SIGUSR2", SECRET],
  ] as const)(
    "%s, %j: the next one goes on, and the peer notices nothing",
    async (signal, tunnel) => {
      const configuration = both({ tunnel: `${tunnel}\n${PATIENCE}` });
      startParis(configuration);
      const before = await idsOf(paris);
      const ofPeer = await idsOf(lyon);
      for (let round = 0; round < 3; round++) {
        // Longer than between two messages: some come while nobody is there to answer.
        await pause(700);
        expect(await paris.stop(signal)).toMatchObject(signal === "SIGKILL" ? { signal } : { code: 75 });
        await pause(50);
        startParis(configuration);
        await paris.untilLogged("it takes over", UP_MS, ({ event }) => event === "taken-over");
        expect(await idsOf(paris)).toEqual(before);
        expect(troubles(paris)).toEqual([]);
      }
      // HELLO goes both ways all the while.
      await pause(3_000);
      expect(await idsOf(paris)).toEqual(before);
      expect(await idsOf(lyon)).toEqual(ofPeer);
      expect(troubles(lyon)).toEqual([]);
      expect(await retransmitted()).toBe(0);

      expect(await paris.stop("SIGTERM")).toMatchObject({ code: 0 });
      manager.read();
      expect([...manager.kept.keys()]).toEqual([]);
      expect(() => readFileSync(manager.stateFile)).toThrow("ENOENT");
      await lyon.untilLogged("StopCCN", UP_MS, ({ message }) => message.includes("the peer is being shut down"));
    },
    60_000,
  );

  test("killed again and again while many sessions come up: all come up, on the same control connection", async () => {
    const more = Array.from({ length: SESSIONS }, (_, i) => `\n[tunnel.PEER.session.s${i}]\ninterface = "l2-s${i}"`);
    const session = more.join("\n");
    const lcce = 'datapath = "none"';
    lyon = sites.start(
      sites.lyon,
      sites.configuration(sites.lyon, { lcce, tunnel: PATIENCE, session: session.replaceAll("PEER", "paris") }),
    );
    const configuration = sites.configuration(sites.paris, {
      lcce,
      tunnel: PATIENCE,
      session: session.replaceAll("PEER", "lyon"),
    });
    startParis(configuration);
    await paris.untilLogged("established", UP_MS, ({ event }) => event === "control-connection-established");
    for (let round = 0; round < 6; round++) {
      await pause(5 * round);
      await paris.stop("SIGKILL");
      startParis(configuration);
      await paris.untilLogged("it takes over", UP_MS, ({ event }) => event === "taken-over");
    }
    const tunnel = await paris.untilUp(30_000);
    expect(tunnel.sessions).toHaveLength(SESSIONS + 1);
    const ofPeer = await lyon.untilUp(UP_MS);
    expect(ofPeer.remote_ccid).toBe(tunnel.local_ccid);
    expect(ofPeer.sessions.map(({ remote_session_id: id }) => id).sort()).toEqual(
      tunnel.sessions.map(({ local_session_id: id }) => id).sort(),
    );
    const established = lyon.log.filter(({ event }) => event === "control-connection-established");
    expect(established).toHaveLength(1);
  }, 90_000);

  test.each([
    [
      "damaged",
      (octets: Buffer) => Buffer.concat([octets.subarray(0, 200), Buffer.alloc(3, 0x55), octets.subarray(203)]),
      /damaged/,
    ],
    ["of another format", ofAnotherFormat, /format/],
    ["something else", () => Buffer.from("something else, and long enough to be read"), /no state of this program/],
  ] as const)(
    "a state that is %s: everything begins anew, and the log says so",
    async (_, change, reason) => {
      const configuration = both({ tunnel: SECRET });
      startParis(configuration);
      const before = await idsOf(paris);
      await paris.stop("SIGKILL");
      writeFileSync(manager.stateFile, change(readFileSync(manager.stateFile)));
      startParis(configuration);
      const line = await paris.untilLogged("why", UP_MS, ({ event }) => event === "not-taken-over");
      expect(line).toMatchObject({ level: "warn", message: expect.stringMatching(reason) });
      const after = await idsOf(paris);
      expect(after.local_ccid).not.toBe(before.local_ccid);
      await until("only what is in use is kept", UP_MS, () => {
        manager.read();
        return ![...manager.kept.keys()].includes(`connection-${before.local_ccid}`);
      });
      await lyon.untilUp(UP_MS);
    },
    60_000,
  );

  test("what a write left unfinished counts for nothing, and sockets that nobody kept are missed", async () => {
    const configuration = both({});
    startParis(configuration);
    const before = await idsOf(paris);
    await paris.stop("SIGKILL");
    writeFileSync(manager.stateFile, Buffer.concat([readFileSync(manager.stateFile), Buffer.from([200, 0, 0, 0, 1])]));
    startParis(configuration);
    expect(await idsOf(paris)).toEqual(before);
    await paris.stop("SIGKILL");
    manager.forget();
    startParis(configuration);
    await paris.untilLogged("why", UP_MS, ({ message }) => message.includes("nobody has kept its sockets"));
    expect((await idsOf(paris)).local_ccid).not.toBe(before.local_ccid);
  }, 60_000);

  test("what the file says by now is applied: a session changed, one more, a tunnel closed", async () => {
    const more = (name: string) => `\n[tunnel.PEER.session.${name}]\ninterface = "l2-${name}"`;
    const of = (site: Site, session: string) =>
      sites.configuration(site, {
        lcce: 'datapath = "none"',
        tunnel: PATIENCE,
        session: session.replaceAll("PEER", sites.other(site).name),
      });
    lyon = sites.start(sites.lyon, of(sites.lyon, more("one") + more("two")));
    const configuration = of(sites.paris, more("one"));
    startParis(configuration);
    const before = await paris.untilUp(UP_MS);
    await paris.stop("SIGUSR2");
    startParis(of(sites.paris, more("one").replace('"l2-one"', '"l2-other"') + more("two")));
    await paris.untilLogged("it takes over", UP_MS, ({ event }) => event === "taken-over");
    const after = await paris.untilTunnel("three sessions", UP_MS, ({ sessions }) => {
      return sessions.length === 3 && sessions.every(({ state }) => state === "established");
    });
    expect(after.local_ccid).toBe(before.local_ccid);
    const ids = ({ sessions }: TunnelReport) => sessions.map(({ local_session_id: id }) => id);
    expect(ids(after)[0]).toBe(ids(before)[0]);
    expect(ids(after)[1]).not.toBe(ids(before)[1]);
    expect(after.sessions[1]?.interface).toBe("l2-other");

    await paris.stop("SIGKILL");
    startParis(configuration.replaceAll("tunnel.lyon", "tunnel.elsewhere"));
    await lyon.untilLogged("StopCCN", UP_MS, ({ message }) => message.includes("removed from the configuration"));
    expect((await paris.untilUp(UP_MS)).local_ccid).not.toBe(before.local_ccid);
  }, 60_000);

  test("a start that fails leaves what it took over to the next one", async () => {
    const configuration = both({ tunnel: `${SECRET}\n${PATIENCE}` });
    startParis(configuration);
    const before = await idsOf(paris);
    await paris.stop("SIGUSR2");
    startParis(configuration.replace("127.0.0.1:9101", "192.0.2.77:9101"));
    expect(await paris.exited).toMatchObject({ code: 1 });
    expect(paris.log.map(({ event }) => event)).toEqual(expect.arrayContaining(["taken-over", "start-failed"]));
    startParis(configuration);
    expect(await idsOf(paris)).toEqual(before);
    expect(lyon.log.filter(({ event }) => event === "control-connection-established")).toHaveLength(1);
    expect(troubles(lyon)).toEqual([]);
  }, 60_000);

  test("one that records begins anew, and has the ports of the one before", async () => {
    const configuration = both({ tunnel: SECRET });
    startParis(configuration);
    const before = await idsOf(paris);
    await paris.stop("SIGUSR2");
    const { namespace } = sites.paris;
    const args = ["--record", join(sites.directory, "recording")];
    paris = new DaemonProcess(manager.spawner(namespace), {
      name: "recording",
      directory: sites.directory,
      configuration,
      args,
    });
    expect((await idsOf(paris)).local_ccid).not.toBe(before.local_ccid);
    manager.read();
    expect([...manager.kept.keys()]).toEqual([]);
    // Nobody can go on from a recording: the peer is told.
    expect(await paris.stop("SIGUSR2")).toMatchObject({ code: 0 });
    await lyon.untilLogged("StopCCN", UP_MS, ({ message }) => message.includes("the peer is being shut down"));
  }, 60_000);

  test("what an administrator has closed stays closed, although there is no socket to be kept", async () => {
    const configuration = both({}).replace("[lcce]", "[lcce]\nlisten = []");
    startParis(configuration);
    await paris.untilUp(UP_MS);
    expect(await paris.command("close", "lyon")).toMatchObject({ code: 0 });
    await until("nothing is kept", UP_MS, () => {
      manager.read();
      return manager.kept.size === 0;
    });
    await paris.stop("SIGUSR2");
    startParis(configuration);
    await paris.untilLogged("ready", UP_MS, ({ event }) => event === "ready");
    await pause(1_500);
    const tunnel = await paris.untilTunnel("the tunnel", UP_MS, () => true);
    expect(tunnel).toMatchObject({ state: "idle", last_error: "closed by the administrator" });
  }, 60_000);

  test("with a file that is wrong by now SIGUSR2 closes everything, for nobody could go on", async () => {
    const configuration = both({ tunnel: PATIENCE });
    startParis(configuration);
    await paris.untilUp(UP_MS);
    writeFileSync(paris.configurationFile, `${configuration}\nnonsense`);
    expect(await paris.stop("SIGUSR2")).toMatchObject({ code: 0 });
    const line = paris.log.find(({ event }) => event === "not-handed-over");
    expect(line).toMatchObject({ level: "warn", message: expect.stringContaining("no valid TOML") });
    await lyon.untilLogged("StopCCN", UP_MS, ({ message }) => message.includes("the peer is being shut down"));
  }, 60_000);

  test.skipIf(!tap.available)(
    "frames in user space flow again, by the same session",
    async () => {
      const of = (site: Site) => sites.configuration(site, { lcce: 'datapath = "userspace"', tunnel: PATIENCE });
      lyon = sites.start(sites.lyon, of(sites.lyon));
      startParis(of(sites.paris));
      const before = await idsOf(paris);
      expect(await sites.ping(sites.paris, 3)).toMatchObject({ received: 3 });
      await paris.stop("SIGKILL");
      startParis(of(sites.paris));
      expect(await idsOf(paris)).toEqual(before);
      await until("the device is there", UP_MS, () => sites.paris.namespace.devices().includes("l2-lyon"));
      expect(await sites.ping(sites.paris, 3)).toMatchObject({ received: 3 });
      expect(troubles(paris)).toEqual([]);
      expect(lyon.log.filter(({ event }) => event === "session-closed")).toEqual([]);
    },
    60_000,
  );
});

function sessionIds(session: { readonly local_session_id: number; readonly remote_session_id: number }) {
  return [session.local_session_id, session.remote_session_id];
}

/** As a program of the future might write it. */
function ofAnotherFormat(octets: Buffer): Buffer {
  const text = octets.toString("latin1").replace(/^l2tpv3-lcc state \d+\n/, "l2tpv3-lcc state 999\n");
  return Buffer.from(text, "latin1");
}
