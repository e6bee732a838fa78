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
    expect(files.filter((file) => !/\.(?:toml|conf)$/.test(file))).toEqual(["README.md"]);
    expect(files.length).toBeGreaterThan(2);
  });

  test.each([
    ["ipsec-udp", "udp/1701"],
    ["ipsec-ip", "115"],
  ])("%s: the policies are for what its tunnels send, and the ends are each other's", (folder, selector) => {
    const ends = ["a", "b"].map((name) => ({
      tunnel: tunnelOf(`${folder}/site-${name}.toml`),
      said: (key: string) => valuesOf(`${folder}/swanctl-${name}.conf`, key),
    }));
    for (const { tunnel, said } of ends) {
      expect([said("local_addrs"), said("remote_addrs")]).toEqual([[tunnel?.local], [tunnel?.peer]]);
      expect([said("local_ts"), said("remote_ts")].flat()).toEqual([`dynamic[${selector}]`, `dynamic[${selector}]`]);
      expect(tunnel).toMatchObject({ encapsulation: folder.slice("ipsec-".length), localPort: 1701, peerPort: 1701 });
    }
    const [a, b] = ends;
    expect(a?.said("id")).toEqual(b?.said("id").toReversed());
    for (const key of ["secret", "proposals", "esp_proposals", "mode"]) expect(a?.said(key)).toEqual(b?.said(key));
  });

  test("wireguard: the tunnels are between the addresses of wg0, and the ends are each other's", () => {
    const ends = ["a", "b"].map((name) => ({
      tunnel: tunnelOf(`wireguard/site-${name}.toml`),
      said: (key: string) => valuesOf(`wireguard/wg0-${name}.conf`, key),
    }));
    for (const { tunnel, said } of ends) {
      expect([said("Address"), said("AllowedIPs")]).toEqual([[`${tunnel?.local}/30`], [`${tunnel?.peer}/32`]]);
      expect(tunnel?.bindDevice).toBe("wg0");
    }
    const [a, b] = ends;
    expect([a?.tunnel?.local, a?.tunnel?.peer]).toEqual([b?.tunnel?.peer, b?.tunnel?.local]);
    expect(a?.said("MTU")).toEqual(b?.said("MTU"));
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

function tunnelOf(name: string) {
  return loadSite(`${folder}${name}`).tunnels[0];
}

/** What a configuration of strongSwan or WireGuard says of a key. */
function valuesOf(name: string, key: string): string[] {
  const lines = readFileSync(`${folder}${name}`, "utf8").matchAll(new RegExp(`^ *${key} *= *(.*)$`, "gm"));
  return [...lines].map(([, value = ""]) => value);
}

function hex(octets: Uint8Array | undefined): string {
  return Buffer.from(octets ?? []).toString("hex");
}
