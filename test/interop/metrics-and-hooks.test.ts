import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type DaemonProcess, until } from "../support/daemon-process.ts";
import { namespacesMissing } from "../support/namespaces.ts";
import { type Site, TwoSites } from "../support/two-sites.ts";

const missing = namespacesMissing();
const UP_MS = 15_000;
const METRICS = 'metrics = "127.0.0.1:9101"';
const SECRET = "nobody shall find this in an environment";

/** Each event a line: its environment, then what it has open beside its standard streams, both as the hook sees them. */
const HOOK = `#!/bin/sh
open=$(for fd in /proc/$$/fd/*; do case $fd in */[012]) ;; *) readlink $fd ;; esac; done | tr '\\n' ' ')
echo "$(env | sort | tr '\\n' ';') open=$open" >> "$1"
echo "told of $L2TP_EVENT"
echo "in a second line" >&2
`;

/** What one of them found. */
type Told = Readonly<Record<string, string>>;

let sites: TwoSites;

describe.skipIf(missing !== undefined)(`metrics and hooks of a daemon${missing ? ` (${missing})` : ""}`, () => {
  beforeEach(() => {
    sites = new TwoSites();
  });
  afterEach(() => sites.remove());

  test("hooks are told of everything, in order, and find nothing but what they are told", async () => {
    const paris = start(sites.paris, hooks());
    sites.lyon.namespace.ip("link", "add", "eth1", "type", "veth", "peer", "name", "far");
    for (const end of ["far", "eth1"]) sites.lyon.namespace.ip("link", "set", end, "up");
    const lyon = start(sites.lyon, "", 'circuit = "eth1"');
    const tunnel = await paris.untilUp(UP_MS);
    await untilTold("session-up", 1);
    const session = tunnel.sessions[0];
    const aboutTunnel = {
      L2TP_TUNNEL: "lyon",
      L2TP_PEER: "192.0.2.2:1701",
      L2TP_PEER_HOSTNAME: "site-lyon",
      L2TP_PEER_ROUTER_ID: "192.0.2.2",
      L2TP_ENCAPSULATION: "udp",
      L2TP_NETNS: "",
      L2TP_LOCAL_CCID: String(tunnel.local_ccid),
      L2TP_REMOTE_CCID: String(tunnel.remote_ccid),
    };
    const aboutSession = {
      ...aboutTunnel,
      L2TP_SESSION: "lan42",
      L2TP_INTERFACE: "l2-lyon",
      L2TP_LOCAL_SESSION_ID: String(session?.local_session_id),
      L2TP_REMOTE_SESSION_ID: String(session?.remote_session_id),
    };
    expect(told("tunnel-up")).toMatchObject([{ ...aboutTunnel, L2TP_REASON: "" }]);
    expect(told("session-up")).toMatchObject([aboutSession]);

    sites.lyon.namespace.ip("link", "set", "far", "down");
    await untilTold("circuit-status", 1);
    expect(told("circuit-status")).toMatchObject([
      { ...aboutSession, L2TP_LOCAL_CIRCUIT: "up", L2TP_REMOTE_CIRCUIT: "down" },
    ]);

    expect(await lyon.stop("SIGTERM")).toMatchObject({ code: 0 });
    await untilTold("tunnel-down", 1);
    await untilTold("session-down", 1);
    expect(told("session-down")).toMatchObject([aboutSession]);
    expect(told("tunnel-down")).toMatchObject([{ ...aboutTunnel, L2TP_REASON: expect.stringContaining("StopCCN") }]);
    await paris.untilLogged("the last hook's end", 5_000, ({ message }) => /tunnel-down, .*exit code 0/.test(message));
    expect(paris.log.filter(({ event }) => event === "hook-output").map(({ message }) => message)).toEqual(
      expect.arrayContaining(["told of session-up", "told of circuit-status", "in a second line"]),
    );

    for (const each of all()) {
      // The shell's own variables, and what it has open for itself.
      const names = Object.keys(each).filter((name) => !name.startsWith("L2TP_"));
      expect(names.toSorted()).toEqual(["LANG", "PATH", "PWD", "open"]);
      expect(each["open"]).not.toMatch(/socket|anon_inode|tun|net:/);
    }
    expect(readFileSync(record(), "utf8")).not.toContain(SECRET);
    expect([paris.stderr, lyon.stderr]).toEqual(["", ""]);
  });

  test("when the daemon ends the hooks for what ends are run first, and one that hangs does not keep it", async () => {
    const hanging = script("hanging", "#!/bin/sh\ntrap '' TERM\necho begun\nwhile true; do sleep 0.1; done\n");
    const paris = start(
      sites.paris,
      `${hooks(["tunnel-up", "tunnel-down"])}\nsession-down = ["${hanging}"]\ntimeout = "1s"`,
    );
    start(sites.lyon);
    await paris.untilUp(UP_MS);
    const { code, afterMs } = await paris.stop("SIGTERM", 15_000);
    expect(code).toBe(0);
    expect(told("tunnel-down")).toHaveLength(1);
    // SIGTERM after a second, SIGKILL two seconds later.
    expect(afterMs).toBeGreaterThan(2_500);
    expect(afterMs).toBeLessThan(12_000);
    const failed = paris.log.find(({ event }) => event === "hook-failed");
    expect(failed?.message).toMatch(/session-down, .*killed by SIGKILL, after 1000 ms without an end/);
    expect(sites.paris.namespace.processes()).toEqual([]);
  });

  test("a hook that hangs does not keep the protocol: others come up, and HELLOs go on", async () => {
    const hanging = script("hanging", "#!/bin/sh\nexec sleep 60\n");
    const paris = start(sites.paris, `[hooks]\ntunnel-up = ["${hanging}"]\ntimeout = "1m"`);
    start(sites.lyon);
    const { since } = await paris.untilUp(UP_MS);
    // Longer than it takes to find a silent peer dead.
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    expect(await paris.tunnel()).toMatchObject({ state: "established", since });
    paris.signal("SIGTERM");
    await paris.untilLogged("that it ends", 5_000, ({ event }) => event === "stopping");
    // The second signal does not wait for hooks either.
    expect((await paris.stop("SIGTERM")).afterMs).toBeLessThan(6_000);
  });

  test("metrics tell what show tells, and count what goes through the pseudowire", async () => {
    const paris = start(sites.paris);
    start(sites.lyon);
    await paris.untilUp(UP_MS);
    expect(await sites.ping(sites.paris, 5)).toMatchObject({ received: 5 });
    const report = await paris.tunnel();
    const first = await metrics(sites.paris);
    expect(first).toMatchObject({
      'l2tpv3_tunnels{state="established"}': 1,
      'l2tpv3_sessions{state="established"}': 1,
      'l2tpv3_tunnel_up{tunnel="lyon"}': 1,
      'l2tpv3_tunnel_established_total{tunnel="lyon"}': 1,
      'l2tpv3_session_up{tunnel="lyon",session="lan42"}': 1,
      'l2tpv3_session_remote_circuit_up{tunnel="lyon",session="lan42"}': 1,
      'l2tpv3_session_receive_errors_total{tunnel="lyon",session="lan42"}': 0,
      l2tpv3_datapath_answers: 1,
    });
    expect(first['l2tpv3_session_received_packets_total{tunnel="lyon",session="lan42"}']).toBeGreaterThanOrEqual(5);
    expect(first['l2tpv3_session_sent_bytes_total{tunnel="lyon",session="lan42"}']).toBeGreaterThanOrEqual(5 * 60);
    expect(first['l2tpv3_tunnel_control_messages_sent_total{tunnel="lyon"}']).toBeGreaterThanOrEqual(4);
    const since = first['l2tpv3_tunnel_state_change_timestamp_seconds{tunnel="lyon"}'] ?? 0;
    expect(Math.abs(since * 1000 - Date.parse(report?.since ?? ""))).toBeLessThan(1_000);
    expect(first["process_resident_memory_bytes"]).toBeGreaterThan(10_000_000);

    sites.link.cut();
    await paris.untilTunnel("down", UP_MS, ({ state }) => state !== "established");
    sites.link.restore();
    await paris.untilUp(UP_MS);
    const second = await metrics(sites.paris);
    expect(second['l2tpv3_tunnel_established_total{tunnel="lyon"}']).toBe(2);
    expect(second['l2tpv3_tunnel_failures_total{tunnel="lyon"}']).toBeGreaterThan(0);
    expect(second['l2tpv3_tunnel_control_messages_retransmitted_total{tunnel="lyon"}']).toBeGreaterThan(0);
  });

  test("a socket that is in use is named, and the daemon does not start", async () => {
    start(sites.paris);
    await until("metrics", UP_MS, () => metrics(sites.paris).catch(() => undefined));
    const lcce = `${METRICS}\nadmin_socket = "${join(sites.directory, "other.sock")}"\nlisten = []`;
    const other = sites.start(sites.paris, sites.configuration(sites.paris, { lcce }), "other");
    expect(await other.exited).toMatchObject({ code: 1 });
    expect(other.stderr).toContain("metrics at 127.0.0.1:9101: listen EADDRINUSE");
  });
});

/** `tables`: behind all others. */
function start(site: Site, tables = "", session = ""): DaemonProcess {
  const configuration = sites.configuration(site, { lcce: METRICS, tunnel: `secret = "${SECRET}"`, session });
  return sites.start(site, `${configuration}\n${tables}`);
}

function record(): string {
  return join(sites.directory, "told");
}

/** One hook for each of these events. */
function hooks(events = ["tunnel-up", "tunnel-down", "session-up", "session-down", "circuit-status"]): string {
  const path = script("told.sh", HOOK);
  return ["[hooks]", ...events.map((event) => `${event} = ["${path}", "${record()}"]`)].join("\n");
}

function script(name: string, text: string): string {
  const path = join(sites.directory, name);
  writeFileSync(path, text);
  chmodSync(path, 0o755);
  return path;
}

function all(): readonly Told[] {
  const lines = existsSync(record()) ? readFileSync(record(), "utf8").trimEnd().split("\n") : [];
  return lines.map((line) => {
    const [, environment = "", open = ""] = /^(.*); open=(.*)$/.exec(line) ?? [];
    const pairs = environment
      .split(";")
      .map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]);
    return { ...Object.fromEntries(pairs), open };
  });
}

function told(event: string): readonly Told[] {
  return all().filter(({ L2TP_EVENT }) => L2TP_EVENT === event);
}

function untilTold(event: string, times: number): Promise<unknown> {
  return until(`hook ${event}`, UP_MS, () => told(event).length === times);
}

/** Every sample by its name and labels, as a scraper in the site's namespace sees them. */
async function metrics({ namespace }: Site): Promise<Readonly<Record<string, number>>> {
  const fetching = 'process.stdout.write(await (await fetch("http://127.0.0.1:9101/metrics")).text())';
  const { code, stdout, stderr } = await namespace.run(process.execPath, ["--input-type=module", "-e", fetching]);
  if (code !== 0) throw new Error(stderr);
  const samples = stdout.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return Object.fromEntries(
    samples.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]),
  );
}
