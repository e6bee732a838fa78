import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { loadSite } from "../../../src/config/load.ts";

const folder = fileURLToPath(new URL("../../../conf/examples/", import.meta.url));
const examples = readdirSync(folder);

describe("conf/examples", () => {
  test("has examples, and nothing else", () => {
    expect(examples.length).toBeGreaterThan(0);
    expect(examples.filter((name) => !name.endsWith(".toml"))).toEqual([]);
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
});
