import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { parseArguments } from "../../../src/cli/arguments.ts";
import { importInto } from "../../../src/cli/import.ts";
import { importText } from "./imported.ts";

const fixture = (name: string): string => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));

function run(...words: readonly string[]): { code: number; out: string; err: string } {
  const written = { out: "", err: "" };
  const terminal = {
    out: (text: string) => {
      written.out += text;
    },
    err: (text: string) => {
      written.err += text;
    },
  };
  const command = parseArguments(["import", ...words]);
  if (!("command" in command) || command.command !== "import") throw new Error("no import");
  return { code: importInto(command, terminal), ...written };
}

describe("the command", () => {
  test("prints the file, and warnings beside it", () => {
    const { code, out, err } = run(fixture("pe2.cfg"));
    expect(code).toBe(0);
    expect(out).toContain("[tunnel.pe2.session.vc100]");
    expect(err).toContain("warning: not taken over:");
    expect(err).toContain("chmod 600");
    expect(err).not.toContain("older-secret");
  });

  test("says nothing of secrets where there are none", () => {
    const { code, err } = run("--from", "ip-commands", fixture("plain.sh"));
    expect({ code, err }).toEqual({ code: 0, err: "" });
  });

  test("a file that is not there: 1", () => {
    const { code, out, err } = run(fixture("nowhere"));
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toContain("ENOENT");
  });

  test("a file that is nothing known: 2, and says what to do", () => {
    const { code, err } = run(fixture("../import.test.ts"));
    expect(code).toBe(2);
    expect(err).toContain("--from");
  });

  test("a file of another kind than was said: 1", () => {
    expect(run("--from", "ip-text", fixture("pe2.cfg")).code).toBe(1);
  });

  test("what no configuration can have is printed all the same, with what the loader says: 1", () => {
    const { code, out, err } = run(fixture("loopback.sh"));
    expect(code).toBe(1);
    expect(out).toContain('interface         = "lo"');
    expect(err).toContain('interface "lo" is the loopback device');
  });
});

describe("the text", () => {
  test("control characters stay out of comments, and are escaped in values", () => {
    const lines = [
      "hostname r",
      "l2tp-class c",
      ' digest secret 0 a\u0001"\\\u007fb',
      "pseudowire-class p",
      " encapsulation l2tpv3",
      " protocol l2tpv3 c",
      "interface e0",
      " description x\u0007y",
      " colour\u0007blue",
      " xconnect 192.0.2.1 1 pw-class p",
    ];
    const { site, toml } = importText(lines.join("\n"));
    expect(site.tunnels[0]?.authentication.secrets).toEqual([new TextEncoder().encode('a\u0001"\\\u007fb')]);
    expect(toml).not.toMatch(/[^\P{Cc}\n]/u);
  });

  test("names are made of what tables may be called, and never twice", () => {
    const one =
      "hostname a.b/c.\npseudowire-class p\n encapsulation l2tpv3\n protocol l2tpv3 X\n ip local interface l\n";
    const ports = ["192.0.2.1", "192.0.2.5"].map((peer) => `interface e${peer}\n xconnect ${peer} 1 pw-class p\n`);
    const { site } = importText(
      `${one}l2tp-class X\n hello 5\n${ports.join("")}interface l\n ip address 192.0.2.2 255.255.255.0\n`,
    );
    expect(site.tunnels.map(({ name }) => name)).toEqual(["a-b-c", "a-b-c-2"]);
  });
});
