import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const program = fileURLToPath(new URL("../../dist/src/main.js", import.meta.url));

test("import reads standard input", () => {
  const input = [
    '[{"tunnel_id":1,"encap":"IP","local":"192.0.2.1","peer":"192.0.2.2","peer_tunnel":2}]',
    '[{"session_id":3,"tunnel_id":1,"peer_session_id":4,"peer_tunnel_id":2,"interface":"l2tpeth0"}]',
  ].join("\n");
  const toml = execFileSync(process.execPath, [program, "import", "-"], { input, encoding: "utf8" });
  expect(toml).toContain("Made by l2tpv3-lcc import from standard input (ip -json l2tp show).");
  expect(toml).toContain("[tunnel.tunnel-1.session.l2tpeth0]");
});
