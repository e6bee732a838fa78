import { fileURLToPath } from "node:url";
import type { PingResult, TransferResult } from "../demo/traffic.ts";
import type { SessionRequest } from "../src/kernel/datapath.ts";
import { Link, NetworkNamespace } from "../test/support/namespaces.ts";
import { PLAIN_SESSION } from "../test/support/session-request.ts";
import { UserspaceSite } from "../test/support/userspace-site.ts";

const SITE = fileURLToPath(new URL("./userspace-site.js", import.meta.url));
const TRAFFIC = fileURLToPath(new URL("../demo/traffic.js", import.meta.url));
const WAN = ["192.0.2.1", "192.0.2.2"] as const;
const LAN = ["10.77.0.1", "10.77.0.2"] as const;
const SECONDS = 5;
const ECHOES = 20;
const PORT = 5001;
/** A plain loop of Node over a TAP device, one read and one send at a time, reached 166 to 289. */
const GOAL_MBITS = 250;
const COOKIE = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);

interface Result {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly goal: number | undefined;
}

/** A pseudowire between two processes in two namespaces, joined by a cable of MTU 1500. */
async function connect(side: 0 | 1, site: UserspaceSite): Promise<void> {
  const session: SessionRequest = {
    localControlConnectionId: 1,
    localSessionId: 1 + side,
    remoteSessionId: 2 - side,
    ...PLAIN_SESSION,
    localCookie: COOKIE,
    remoteCookie: COOKIE,
    interfaceName: "pw0",
    addresses: [`${LAN[side]}/24`],
  };
  const [local, remote] = [WAN[side], WAN[1 - side] as string];
  await site.call("openSocket", 1, { address: local, port: 1701 }, { address: remote, port: 1701 });
  await site.call("createTunnel", 1);
  await site.call("createSession", session);
  await site.call("raiseSession", session.localSessionId);
}

function lastLine<T>({ code, stdout, stderr }: { code: number; stdout: string; stderr: string }): T {
  if (code !== 0) throw new Error(`traffic failed: ${stderr}${stdout}`);
  return JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "");
}

/** Megabits per second of TCP payload that arrived at `address`. */
async function transfer(from: NetworkNamespace, to: NetworkNamespace, address: string): Promise<number> {
  const server = to.spawn(process.execPath, [TRAFFIC, "serve", address, String(PORT)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => server.once("exit", resolve));
  await new Promise((resolve) => server.stdout?.once("data", resolve));
  const sent = await from.run(process.execPath, [TRAFFIC, "send", address, String(PORT), String(SECONDS)]);
  await ended;
  const { octetsReceived, seconds } = lastLine<TransferResult>(sent);
  return (octetsReceived * 8) / seconds / 1e6;
}

export async function run(): Promise<readonly Result[]> {
  const namespaces = [new NetworkNamespace(), new NetworkNamespace()] as const;
  const [a, b] = namespaces;
  try {
    new Link(a, b, { device: "wan", addresses: [`${WAN[0]}/24`, `${WAN[1]}/24`] });
    const sites = [new UserspaceSite(a, SITE), new UserspaceSite(b, SITE)] as const;
    await connect(0, sites[0]);
    await connect(1, sites[1]);
    const echo = lastLine<PingResult>(await a.run(process.execPath, [TRAFFIC, "ping", LAN[1], String(ECHOES)]));
    const used = () => Promise.all(sites.map((site) => site.call("processorTime")));
    const [before, mbits, after] = [await used(), await transfer(a, b, LAN[1]), await used()];
    const frames = (await sites[0].call("counters"))[0]?.sentPackets ?? 0;
    const perFrame = (side: 0 | 1) => ((after[side] ?? 0) - (before[side] ?? 0)) / frames;
    await Promise.all(sites.map((site) => site.call("close")));
    const name = "userspace datapath";
    return [
      { name: `${name}: TCP through a pseudowire, MTU 1500 below`, value: mbits, unit: "Mbit/s", goal: GOAL_MBITS },
      { name: `${name}: processor time per frame, sending`, value: perFrame(0), unit: "µs", goal: undefined },
      {
        name: `${name}: processor time per frame, receiving (with the kernel's TCP)`,
        value: perFrame(1),
        unit: "µs",
        goal: undefined,
      },
      { name: `${name}: ICMP echo, round trip`, value: echo.averageMs, unit: "ms", goal: undefined },
      {
        name: `${name}: for comparison, TCP beside the pseudowire`,
        value: await transfer(a, b, WAN[1]),
        unit: "Mbit/s",
        goal: undefined,
      },
    ];
  } finally {
    for (const namespace of namespaces) namespace.remove();
  }
}
