import { execFileSync, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const program = fileURLToPath(new URL("../../dist/bin/main.js", import.meta.url));

test("import reads standard input", () => {
  const input = [
    '[{"tunnel_id":1,"encap":"IP","local":"192.0.2.1","peer":"192.0.2.2","peer_tunnel":2}]',
    '[{"session_id":3,"tunnel_id":1,"peer_session_id":4,"peer_tunnel_id":2,"interface":"l2tpeth0"}]',
  ].join("\n");
  const toml = execFileSync(process.execPath, [program, "import", "-"], { input, encoding: "utf8" });
  expect(toml).toContain("Made by l2tpv3-lcc import from standard input (ip -json l2tp show).");
  expect(toml).toContain("[tunnel.tunnel-1.session.l2tpeth0]");
});

test("no cookie of a script gets on standard error, whatever it stands behind", () => {
  const input = [
    'OPTS="cookie deadbeefcafe0001 debug peer_cookie 0badcafe00112233"',
    "ip l2tp add tunnel tunnel_id 1 peer_tunnel_id 2 encap ip local 192.0.2.1 remote 192.0.2.2",
    "ip l2tp add session tunnel_id 1 session_id 3 peer_session_id 4 $OPTS",
    "ip l2tp add session tunnel_id 1 session_id 5 peer_session_id 6 debug cookie 0123456789abcdef peer_cookie feedface",
    'ip l2tp add session tunnel_id 1 session_id 7 peer_session_id 8 cookie "$(echo 00112233)"',
  ].join("\n");
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, "import", "-"], { input, encoding: "utf8" });
  expect(status).toBe(0);
  expect(stderr.split("\n").filter((line) => line.startsWith("warning: not taken over"))).toHaveLength(3);
  for (const text of [stderr, stdout.replaceAll(/^[a-z_]+ += ".*"/gm, "")]) {
    expect(text).not.toMatch(/deadbeef|cafe0001|0badcafe|00112233|01234567|89abcdef|feedface/);
  }
  expect(stdout).toMatch(/^remote_cookie +=/m);
});
