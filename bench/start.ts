/** How long the daemon takes until it is ready, with one tunnel and with many, each with a session. */
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type Measurement, scratchDirectory } from "./daemon.ts";

const MAIN = fileURLToPath(new URL("../bin/main.js", import.meta.url));
const TUNNELS = 1_000;
const ROUNDS = 5;
const GOAL_S = 3;
const HOSTS_OF_NETWORK = 250;

const directory = scratchDirectory();

function configuration(tunnels: number): string {
  const lcce = [
    "[lcce]",
    'hostname = "start"',
    'router_id = "10.0.0.1"',
    'listen = ["udp:127.0.0.1:21795"]',
    'datapath = "none"',
    `admin_socket = "${join(directory, "admin.sock")}"`,
  ];
  const tables = Array.from({ length: tunnels }, (_, index) => [
    `[tunnel.t${index}]`,
    `peer = "127.9.${Math.floor(index / HOSTS_OF_NETWORK)}.${(index % HOSTS_OF_NETWORK) + 1}"`,
    "peer_port = 21796",
    'local = "127.0.0.1"',
    'role = "initiator"',
    `[tunnel.t${index}.session.lan]`,
    `interface = "l2-${index}"`,
  ]);
  return [lcce, ...tables].flat().join("\n");
}

/** Seconds from the start of the process to the log line that it is ready. */
async function readyAfter(file: string): Promise<number> {
  const began = performance.now();
  const child = spawn(process.execPath, [MAIN, "--conf", file], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = new Promise((resolve) => child.on("close", resolve));
  for await (const line of createInterface({ input: child.stdout })) {
    if (!line.includes('"event":"ready"')) continue;
    const seconds = (performance.now() - began) / 1_000;
    child.kill("SIGKILL");
    await exited;
    return seconds;
  }
  throw new Error("the daemon has ended before it was ready");
}

function median(values: readonly number[]): number {
  return [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN;
}

export async function run(): Promise<readonly Measurement[]> {
  const files = [1, TUNNELS].map((tunnels) => {
    const file = join(directory, `${tunnels}.toml`);
    writeFileSync(file, configuration(tunnels));
    return file;
  });
  const times: number[][] = files.map(() => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, file] of files.entries()) times[index]?.push(await readyAfter(file));
  }
  const [one = Number.NaN, many = Number.NaN] = times.map(median);
  const of = `median of ${ROUNDS} starts`;
  return [
    { name: `ready with 1 tunnel (${of})`, value: one, unit: "s", goal: undefined },
    { name: `ready with ${TUNNELS} tunnels (${of})`, value: many, unit: "s", goal: GOAL_S },
    { name: "the one against the other", value: many / one, unit: "ratio", goal: undefined },
  ];
}
