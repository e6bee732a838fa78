import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { TunnelReport } from "../../src/daemon/show-report.ts";
import { DaemonProcess, until } from "../support/daemon-process.ts";
import { Link, NetworkNamespace, namespacesMissing } from "../support/namespaces.ts";

const missing = namespacesMissing();
const UP_MS = 15_000;
/** From a namespace's coming, or going, to the daemon's being done with it. */
const NOTICED_MS = 6_000;
const COLOURS = ["blue", "red"] as const;
const program = fileURLToPath(new URL("../../dist/bin/main.js", import.meta.url));
const traffic = fileURLToPath(new URL("../../dist/demo/traffic.js", import.meta.url));

type Colour = (typeof COLOURS)[number];

/** The daemon's own namespace, which has no way to anybody, and those that its tunnels live in. */
class Place {
  readonly own = new NetworkNamespace();
  readonly blue = new NetworkNamespace();
  readonly red = new NetworkNamespace();

  remove(): void {
    for (const namespace of [this.own, this.blue, this.red]) {
      if (!existsSync(`/run/netns/${namespace.name}`)) make(namespace);
      namespace.remove();
    }
  }
}

let paris: Place;
let lyon: Place;
let directory: string;
let daemons: DaemonProcess[];

describe.skipIf(missing !== undefined)(`tunnels in network namespaces${missing ? ` (${missing})` : ""}`, () => {
  beforeEach(() => {
    paris = new Place();
    lyon = new Place();
    directory = mkdtempSync(join(tmpdir(), "l2tpv3-lcc-netns-"));
    daemons = [];
    for (const colour of COLOURS) cable(colour);
  });

  afterEach(() => {
    for (const daemon of daemons) daemon.signal("SIGKILL");
    paris.remove();
    lyon.remove();
    rmSync(directory, { recursive: true, force: true });
  });

  test("two tunnels with the same addresses, ports and device names in two namespaces do not meet", async () => {
    const [one, other] = [start("paris"), start("lyon")];
    await untilAllUp(one);
    await untilAllUp(other);
    for (const colour of COLOURS) expect(await ping(paris[colour], "10.42.0.2")).toMatchObject({ received: 3 });
    for (const colour of COLOURS) {
      const session = (await shown(one, colour))?.sessions[0];
      const [link] = JSON.parse(paris[colour].ip("-json", "link", "show", "dev", session?.interface ?? ""));
      expect([session?.mtu, session?.configured.mtu]).toEqual([link.mtu, "auto"]);
    }
    // What arrives in one of them was sent in the same one.
    const before = await received(other);
    expect(await ping(paris.blue, "10.42.0.2", 20)).toMatchObject({ received: 20 });
    const after = await received(other);
    expect((after["blue"] ?? 0) - (before["blue"] ?? 0)).toBeGreaterThanOrEqual(20);
    expect((after["red"] ?? 0) - (before["red"] ?? 0)).toBeLessThan(20);
    // The namespaces of the daemons have nothing but what they had.
    expect(paris.own.devices()).toEqual([]);
    expect(lyon.own.devices()).toEqual([]);
    expect(paris.blue.devices()).toContain("l2-site");
    expect(sharers(one)).toEqual([1, 1]);
  });

  test("an administrator's close and open, and a peer that ends, concern one namespace alone", async () => {
    const [one, other] = [start("paris"), start("lyon")];
    await untilAllUp(one);
    const [, red] = await untilAllUp(other);
    await one.command("close", "blue");
    await until("blue is closed at the other end", UP_MS, async () => (await shown(other, "blue"))?.state === "idle");
    expect(await shown(other, "red")).toMatchObject({ state: "established", local_ccid: red?.local_ccid });
    await one.command("open", "blue");
    await untilAllUp(other);
    expect(await one.stop("SIGTERM")).toMatchObject({ code: 0 });
    for (const namespace of [paris.blue, paris.red]) expect(namespace.devices()).toEqual(["wan"]);
  });

  test("a namespace that is not there yet is waited for, at both ends", async () => {
    forget(paris.blue);
    forget(lyon.blue);
    const [one, other] = [start("paris"), start("lyon")];
    for (const daemon of [one, other]) {
      await until(
        `${daemon.name}: red is up`,
        UP_MS,
        async () => (await shown(daemon, "red"))?.state === "established",
      );
      const blue = await shown(daemon, "blue");
      expect(blue?.last_error).toMatch(
        /^network namespace \S+ does not exist \(\/run\/netns\/\S+\); it is waited for$/,
      );
    }
    make(paris.blue);
    make(lyon.blue);
    cable("blue");
    await untilAllUp(one);
    await untilAllUp(other);
    expect(await ping(paris.blue, "10.42.0.2")).toMatchObject({ received: 3 });
  });

  test("a namespace that is deleted is let go, and served again when it is made anew; the other one is not touched", async () => {
    const [one, other] = [start("paris"), start("lyon")];
    const [, red] = await untilAllUp(one);
    await untilAllUp(other);
    forget(paris.blue);
    await until("it is noticed", NOTICED_MS, async () =>
      /^network namespace .*; it is waited for$/.test((await shown(one, "blue"))?.last_error ?? ""),
    );
    expect(one.log.map(({ message }) => message)).toContain(
      `network namespace ${paris.blue.name} was deleted; it is waited for`,
    );
    // The other end was told, and does not wait for its HELLOs to be missed.
    await until("the other end knows", NOTICED_MS, async () => (await shown(other, "blue"))?.state !== "established");
    // With the last socket the namespace ends, and with it its end of the cable: both ends.
    await until("nothing is held", NOTICED_MS, () => !lyon.blue.devices().includes("wan"));
    expect(await shown(one, "red")).toMatchObject({ state: "established", local_ccid: red?.local_ccid });
    make(paris.blue);
    cable("blue");
    const [, stillRed] = await untilAllUp(one);
    // That what was deleted does not exist is no news.
    expect(one.log.filter(({ event }) => event === "namespace-missing")).toHaveLength(1);
    expect(stillRed?.local_ccid).toBe(red?.local_ccid);
    expect(await ping(paris.blue, "10.42.0.2")).toMatchObject({ received: 3 });
  });

  test("a responder's namespace that is replaced at once", async () => {
    const [one, other] = [start("paris"), start("lyon")];
    await untilAllUp(one);
    await untilAllUp(other);
    forget(lyon.blue);
    make(lyon.blue);
    await other.untilLogged("noticed", NOTICED_MS, ({ event }) => event === "namespace-missing");
    await until("nothing is held", NOTICED_MS, () => !paris.blue.devices().includes("wan"));
    cable("blue");
    await untilAllUp(other);
    await untilAllUp(one);
    expect(await ping(paris.blue, "10.42.0.2")).toMatchObject({ received: 3 });
  });
});

test.skipIf(missing !== undefined)(
  "without CAP_SYS_ADMIN the daemon says what is missing, and serves the rest",
  async () => {
    const own = new NetworkNamespace();
    const folder = mkdtempSync(join(tmpdir(), "l2tpv3-lcc-netns-"));
    const conf = join(folder, "site.toml");
    const tunnels = `[tunnel.blue]\npeer = "192.0.2.2"\nnetns = "${own.name}"\n[tunnel.own]\npeer = "192.0.2.3"\n`;
    writeFileSync(conf, `[lcce]\ndatapath = "none"\nadmin_socket = "${folder}/admin.sock"\n${tunnels}`, {
      mode: 0o600,
    });
    const daemon = own.spawn("setpriv", ["--bounding-set=-sys_admin", process.execPath, program, "--conf", conf]);
    try {
      const tunnel = await until("it is said", UP_MS, async () => {
        const { code, stdout } = await own.run(process.execPath, [program, "show", "--json", "--conf", conf]);
        const shownTunnels: readonly TunnelReport[] = code === 0 ? JSON.parse(stdout).tunnels : [];
        return shownTunnels[0]?.last_error ? shownTunnels : undefined;
      });
      const reason = `cannot enter network namespace ${own.name}: not permitted, it needs CAP_SYS_ADMIN (EPERM)`;
      expect(tunnel.map(({ netns, last_error }) => [netns, last_error])).toEqual([
        [own.name, reason],
        [null, expect.not.stringContaining("CAP_SYS_ADMIN")],
      ]);
    } finally {
      daemon.kill("SIGKILL");
      own.remove();
      rmSync(folder, { recursive: true, force: true });
    }
  },
);

function cable(colour: Colour): void {
  const addresses = ["192.0.2.1/24", "192.0.2.2/24"] as const;
  new Link(paris[colour], lyon[colour], { device: "wan", addresses });
}

function forget({ name }: NetworkNamespace): void {
  execFileSync("ip", ["netns", "del", name]);
}

function make(namespace: NetworkNamespace): void {
  execFileSync("ip", ["netns", "add", namespace.name]);
  namespace.ip("link", "set", "lo", "up");
  namespace.write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
}

function start(name: "paris" | "lyon"): DaemonProcess {
  const place = name === "paris" ? paris : lyon;
  const isParis = name === "paris";
  const tunnels = COLOURS.map(
    (colour) => `
[tunnel.${colour}]
netns = "${place[colour].name}"
peer = "192.0.2.${isParis ? 2 : 1}"
role = "${isParis ? "initiator" : "responder"}"
hello_interval = "2s"
retransmit = { initial = "200ms", retries = 4, sccrq_retries = 3 }
reconnect = { min = "500ms", max = "2s" }
[tunnel.${colour}.session.lan]
interface = "l2-site"
addresses = ["10.42.0.${isParis ? 1 : 2}/24"]
`,
  );
  const lcce = `[lcce]\nhostname = "${name}"\ndatapath = "userspace"\nlog_level = "debug"\nadmin_socket = "${directory}/${name}.sock"\n`;
  const daemon = new DaemonProcess(place.own, { name, directory, configuration: [lcce, ...tunnels].join("") });
  daemons.push(daemon);
  return daemon;
}

async function shown(daemon: DaemonProcess, colour: Colour): Promise<TunnelReport | undefined> {
  return (await daemon.show())?.tunnels.find(({ name }) => name === colour);
}

async function untilAllUp(daemon: DaemonProcess): Promise<readonly TunnelReport[]> {
  const up = ({ state, sessions }: TunnelReport) =>
    state === "established" && sessions.every((session) => session.state === "established");
  try {
    return await until(`${daemon.name}: all is up`, UP_MS, async () => {
      const tunnels = (await daemon.show())?.tunnels ?? [];
      return tunnels.length === COLOURS.length && tunnels.every(up) ? tunnels : undefined;
    });
  } catch (error) {
    throw new Error(`${error}\n${daemon.log.map(({ message }) => message).join("\n")}\n${daemon.stderr}`);
  }
}

async function received(daemon: DaemonProcess): Promise<Readonly<Record<string, number>>> {
  const tunnels = (await daemon.show())?.tunnels ?? [];
  return Object.fromEntries(tunnels.map(({ name, sessions }) => [name, sessions[0]?.counters.received_packets ?? 0]));
}

async function ping(namespace: NetworkNamespace, address: string, count = 3): Promise<unknown> {
  const { stdout, stderr } = await namespace.run(process.execPath, [traffic, "ping", address, String(count)]);
  const last = stdout.trimEnd().split("\n").at(-1) ?? "";
  if (!last.startsWith("{")) throw new Error(`no result: ${stdout}${stderr}`);
  return JSON.parse(last);
}

/** How many threads of the daemon live in each namespace but its own. */
function sharers({ pid }: DaemonProcess): readonly number[] {
  const main = readlinkSync(`/proc/${pid}/ns/net`);
  const counts = new Map<string, number>();
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const namespace = readlinkSync(`/proc/${pid}/task/${thread}/ns/net`);
    if (namespace !== main) counts.set(namespace, (counts.get(namespace) ?? 0) + 1);
  }
  return [...counts.values()];
}
