import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { until } from "./daemon-process.ts";
import { execute, type NetworkNamespace } from "./namespaces.ts";
import type { TwoSites } from "./two-sites.ts";

/** What the dissector tells of one frame: field names with all their values. */
export type Frame = Readonly<Record<string, readonly string[] | undefined>>;

const LAST_BLOCK_MS = 1_500;

/** Why captures cannot be judged here, as the end of a sentence; `undefined`: they can. */
export function tsharkMissing(): string | undefined {
  try {
    execFileSync("tshark", ["--version"], { stdio: "ignore" });
    execFileSync("dumpcap", ["--version"], { stdio: "ignore" });
  } catch {
    return "needs tshark (Debian package tshark)";
  }
  return undefined;
}

export interface Capture {
  /** Ends the capture and returns its file. */
  readonly stop: () => Promise<string>;
}

/** Captures what passes the cable between the sites, at lyon's end. */
export function startCapture(sites: TwoSites): Promise<Capture> {
  return captureIn(sites.lyon.namespace, join(sites.directory, "exchange.pcap"));
}

/** Captures into `file` what passes a device of a namespace, by default the control messages on the cable. */
export async function captureIn(
  namespace: NetworkNamespace,
  file: string,
  { device = "wan", filter = "udp port 1701" } = {},
): Promise<Capture> {
  const args = ["-i", device, "-P", "-w", file, "-f", filter];
  const dumpcap = namespace.spawn("dumpcap", args, { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  dumpcap.stderr?.on("data", (octets: Buffer) => {
    said += octets.toString();
  });
  // It says so once it has opened the device and the file.
  await until(`dumpcap captures: ${said}`, 10_000, () => said.includes("File:"));
  const stop = async () => {
    // The kernel hands frames over in blocks: what passed last is still in one of them.
    await new Promise((resolve) => setTimeout(resolve, LAST_BLOCK_MS));
    const ended = new Promise((resolve) => dumpcap.on("close", resolve));
    dumpcap.kill("SIGINT");
    await ended;
    return file;
  };
  return { stop };
}

/** The frames of a capture that meet a display filter, with these fields. `options`: more of tshark's. */
export async function dissect(
  file: string,
  fieldNames: readonly string[],
  options: readonly string[] = [],
): Promise<readonly Frame[]> {
  const fields = fieldNames.flatMap((field) => ["-e", field]);
  const { code, stdout, stderr } = await execute("tshark", ["-r", file, ...options, "-T", "json", ...fields]);
  if (code !== 0) throw new Error(`tshark failed: ${stderr}`);
  const packets: { readonly _source: { readonly layers: Frame } }[] = JSON.parse(stdout);
  return packets.map(({ _source }) => _source.layers);
}
