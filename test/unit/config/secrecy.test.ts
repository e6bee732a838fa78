import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { check } from "../../../src/cli/check.ts";
import { ConfigError } from "../../../src/config/config-error.ts";
import { parseSite } from "../../../src/config/load.ts";

/** No word of this program's texts, and none of its digits in a line or column number. */
const SECRET = "xyzzy-4711-plugh";
const NUMBER = "4711471147";

const PEER = `[tunnel.t]\npeer = "192.0.2.2"\n`;
const KEYS = ["secret", "secret_previous", "chap_password"] as const;

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "secrecy-"));
});

afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

/** Everything that this file makes the program say or throw, properties, causes and all. */
function said(toml: string): string {
  const path = join(directory, "site.toml");
  writeFileSync(path, toml, { mode: 0o600 });
  let output = "";
  const collect = (text: string): void => {
    output += text;
  };
  check({ conf: path }, { out: collect, err: collect });
  return output + thrown(toml, path);
}

function thrown(toml: string, path: string): string {
  try {
    return parseSite(toml, path).warnings.join("\n");
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return inspect(error, { depth: Number.POSITIVE_INFINITY, showHidden: true }) + JSON.stringify(error);
  }
}

describe("no secret is shown", () => {
  /** What may be written for a value; S stands for the secret, N for a number that may be one. */
  const VALUES = [
    ['"S', "no end"],
    ["'S", "no end"],
    ['"""S', "no end"],
    ["'''\nS\n", "no end"],
    ['"S" S', "something behind it"],
    ['"a"S"', "a quote in it"],
    ["'it's S'", "a quote in it"],
    ['"S\\q"', "a wrong escape"],
    ['"\\uS"', "a wrong escape"],
    ['"S\u0001"', "a control character"],
    ['"S\nS"', "a line end in it"],
    ["S", "no quotes"],
    ["N", "a number"],
    ["N.5", "a number"],
    ["0xNg", "a number"],
    ["NNN", "a number too large"],
    ["{ a = 'S'", "a table without an end"],
    ["{ S = 1 }", "a table"],
    ["['S']", "a list"],
    ["['S', S]", "a list"],
    ["['S'", "a list without an end"],
    [`"${"S".repeat(100)}"`, "too long"],
    ['"S"\nhidden = "S"x', "an error in the next line"],
    ['"S"\ndigest = "none"', "a contradiction"],
    ['"S"\npear = 1', "another error"],
    ['"S"\npeer = "a"', "a key twice"],
  ] as const;
  const filled = (text: string): string => text.replaceAll("S", SECRET).replaceAll("N", NUMBER);

  describe.each(KEYS)("%s", (key) => {
    test.each(VALUES)("%s: %s", (value) => {
      const output = said(`${PEER}${key} = ${filled(value)}\n`);
      expect(output).toContain("site.toml:");
      expect(output).not.toMatch(/xyzzy|plugh|4711/);
    });

    const TABLES = ["", "[lcce]", "[tunnel]", "[template]", "[tunnel.t.session]", "[tunnel.t.session.s]", "[secret]"];
    test.each(TABLES)("in the wrong place: %j", (table) => {
      for (const value of [`"${SECRET}"`, NUMBER, `["${SECRET}"]`]) {
        const output = said(`${table}\n${key} = ${value}\n`);
        expect(output).toContain("site.toml:");
        expect(output).not.toMatch(/xyzzy|plugh|4711/);
      }
    });

    test("the same secret twice, a slip in the name, hiding without it", () => {
      const rows = [
        `secret = "${SECRET}"\nsecret_previous = "${SECRET}"`,
        `${key}s = "${SECRET}"`,
        `${key}.value = "${SECRET}"`,
        `${key} = "${SECRET}"\n${key}_file = "none"`,
      ];
      for (const row of rows) {
        const output = said(PEER + row);
        expect(output).toContain("site.toml:");
        expect(output).not.toMatch(/xyzzy|plugh|4711/);
      }
    });
  });

  test("of a file that is refused or warned of", () => {
    const path = join(directory, "a");
    for (const [content, mode] of [
      [SECRET, 0o644],
      [SECRET, 0o640],
      [`${SECRET}\r\n`, 0o600],
      [SECRET.repeat(100), 0o600],
    ] as const) {
      writeFileSync(path, content);
      chmodSync(path, mode);
      const output = said(`${PEER}secret_file = "a"`);
      expect(output).toMatch(/site\.toml:3: tunnel\.t\.secret_file: ".*\/a" /);
      expect(output).not.toMatch(/xyzzy|plugh|4711/);
    }
  });

  test("whatever is cut out of a good file, or put into it", () => {
    const good = `${PEER}secret = "${SECRET}"\nsecret_previous = '''\n${SECRET}'''\n[tunnel.t.session.s]\ncookie_size = 4\n`;
    const piece = fc.constantFrom('"', "'", '"""', "\\", "\n", "[", "]", "{", "}", "=", ",", "#", "1", "\u0000", "");
    // Before the first secret, within it, between the two and behind: never so that a secret becomes a key or a table.
    const cut = fc.record({ at: fc.nat(good.length), length: fc.nat(3), piece });
    let wrong = 0;
    fc.assert(
      fc.property(cut, ({ at, length, piece: put }) => {
        const toml = good.slice(0, at) + put + good.slice(at + length);
        const output = thrown(toml, "site.toml");
        if (output !== "") wrong++;
        expect(output).not.toMatch(/xyzzy-4711|4711-plugh/);
      }),
      { seed: 3931, numRuns: 3_000 },
    );
    expect(wrong).toBeGreaterThan(500);
  });
});
