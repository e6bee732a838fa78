import { execFile } from "node:child_process";
import type { FirewallFacts } from "./network.ts";

const TIMEOUT_MS = 5_000;
const TOOLS = [
  { tool: "nft", command: "nft", words: ["list", "ruleset"] },
  { tool: "iptables", command: "iptables-save", words: ["-t", "filter"] },
  { tool: "ip6tables", command: "ip6tables-save", words: ["-t", "filter"] },
] as const;

/** The rules of every tool that is installed, as it prints them. Never rejects. */
export async function readFirewall(): Promise<FirewallFacts[]> {
  const found = await Promise.all(TOOLS.map(({ tool, command, words }) => rulesOf(tool, command, words)));
  return found.flatMap((facts) => facts ?? []);
}

function rulesOf(tool: FirewallFacts["tool"], command: string, words: readonly string[]) {
  const env = { ...process.env, LC_ALL: "C", PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin` };
  return new Promise<FirewallFacts | undefined>((resolve) => {
    execFile(
      command,
      [...words],
      { env, timeout: TIMEOUT_MS, maxBuffer: 16 * 1024 * 1024 },
      (error, stdout, stderr) => {
        if (error?.code === "ENOENT") resolve(undefined);
        else resolve({ tool, rules: error === null ? stdout : complaint(stderr || error.message) });
      },
    );
  });
}

/** `undefined`: only root may. */
export function complaint(text: string): { readonly error: string } | undefined {
  if (/not permitted|permission denied|must be root/i.test(text)) return undefined;
  return { error: text.trim().split("\n")[0] ?? "" };
}
