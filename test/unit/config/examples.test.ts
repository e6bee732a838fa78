import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { loadSite } from "../../../src/config/load.ts";

const folder = fileURLToPath(new URL("../../../conf/examples/", import.meta.url));
/** Setups of several sites have a folder each. */
const entries = readdirSync(folder, { withFileTypes: true });
const setups = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
const examples = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".toml"));

describe("conf/examples", () => {
  test("has examples, and nothing else", () => {
    expect(examples.length).toBeGreaterThan(0);
    const others = entries.filter((entry) => !entry.isDirectory() && !entry.name.endsWith(".toml"));
    expect(others).toEqual([]);
  });

  test.each(setups)("%s says how it is set up, and has at least two sites", (name) => {
    const files = readdirSync(`${folder}${name}`);
    expect(files.filter((file) => !file.endsWith(".toml"))).toEqual(["README.md"]);
    expect(files.length).toBeGreaterThan(2);
  });

  test.each(examples)("%s is good, and gives no warning", (name) => {
    const site = loadSite(`${folder}${name}`);
    expect(site.warnings).toEqual([]);
    expect(site.tunnels.length).toBeGreaterThan(0);
  });

  test("I27 static-ip-l2tp.toml has the numbers of the commands in its comments", () => {
    const [tunnel] = loadSite(`${folder}static-ip-l2tp.toml`).tunnels;
    expect(tunnel?.static).toEqual({ localTunnelId: 1000, remoteTunnelId: 2000, watched: false });
    expect(tunnel?.sessions[0]).toMatchObject({
      l2Sublayer: "default",
      static: { localSessionId: 10, remoteSessionId: 20, remoteCookie: Uint8Array.of(0xde, 0xad, 0xbe, 0xef) },
    });
  });

  test("I27 vpp.toml has the numbers of VPP's command line in its comments, crosswise", () => {
    const [tunnel] = loadSite(`${folder}vpp.toml`).tunnels;
    const numbers = tunnel?.sessions[0]?.static;
    const words = [
      `client ${tunnel?.local} our ${tunnel?.peer}`,
      `local-cookie ${hex(numbers?.remoteCookie)} remote-cookie ${hex(numbers?.localCookie)}`,
      `local-session-id ${numbers?.remoteSessionId} remote-session-id ${numbers?.localSessionId}`,
    ];
    const text = readFileSync(`${folder}vpp.toml`, "utf8");
    expect(text).toContain(`#   create l2tpv3 tunnel ${words.join(" ")}\n`);
    expect(tunnel).toMatchObject({ encapsulation: "ip", sessions: [{ l2Sublayer: "none", sequencing: "none" }] });
  });
});

function hex(octets: Uint8Array | undefined): string {
  return Buffer.from(octets ?? []).toString("hex");
}
