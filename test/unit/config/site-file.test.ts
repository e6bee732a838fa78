import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ConfigError } from "../../../src/config/config-error.ts";
import { loadSite } from "../../../src/config/load.ts";
import type { Site } from "../../../src/config/site.ts";

const PEER = `[tunnel.t]\npeer = "192.0.2.2"\n`;

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "site-file-"));
  path = join(directory, "site.toml");
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

function load(content: string | Uint8Array, mode = 0o600): Site {
  writeFileSync(path, content);
  // The umask has no say in this.
  chmodSync(path, mode);
  return loadSite(path);
}

function complaint(content: string | Uint8Array, mode = 0o600): string {
  try {
    load(content, mode);
  } catch (error) {
    if (error instanceof ConfigError) return error.message.replaceAll(`${directory}/`, "");
    throw error;
  }
  throw new Error("accepted");
}

describe("a secret in the file itself", () => {
  const OPEN = (mode: string) => `"site.toml" is open to other users (mode ${mode}): chmod 600 "site.toml"`;
  const SECRETS = [
    [`${PEER}secret = "x"`, ["site.toml:3: tunnel.t.secret"]],
    [
      `${PEER}secret = "x"\nsecret_previous = "y"`,
      ["site.toml:3: tunnel.t.secret", "site.toml:4: tunnel.t.secret_previous"],
    ],
    [`[template.a]\nsecret = "x"\n${PEER}`, ["site.toml:2: template.a.secret"]],
    [`[template.a]\nsecret = "x"\n${PEER}template = "a"\nsecret_file = "there"`, ["site.toml:2: template.a.secret"]],
  ] as const;

  test.each(SECRETS)("%j: others may not open the file", (toml, places) => {
    writeFileSync(join(directory, "there"), "z", { mode: 0o600 });
    for (const mode of [0o644, 0o604, 0o602, 0o666, 0o641]) {
      const octal = `0${mode.toString(8)}`;
      expect(complaint(toml, mode).split("\n")).toEqual(places.map((place) => `${place}: ${OPEN(octal)}`));
    }
  });

  test.each(SECRETS)("%j: a group that may gives a warning, as for secret files", (toml, places) => {
    writeFileSync(join(directory, "there"), "z", { mode: 0o600 });
    const warnings = load(toml, 0o640).warnings.map((each) => each.replaceAll(`${directory}/`, ""));
    const text = '"site.toml" is open to its group (mode 0640); chmod 600 keeps it to its owner';
    expect(warnings).toEqual(places.map((place) => `${place}: ${text}`));
  });

  test.each(SECRETS)("%j: the owner alone is fine", (toml) => {
    writeFileSync(join(directory, "there"), "z", { mode: 0o600 });
    for (const mode of [0o600, 0o400, 0o700]) expect(load(toml, mode).warnings).toEqual([]);
  });

  test("without one, or with the empty one, everybody may read the file", () => {
    expect(load(PEER, 0o644).warnings).toEqual([]);
    expect(load(`${PEER}secret = ""`, 0o644).warnings).toEqual([]);
    writeFileSync(join(directory, "there"), "z", { mode: 0o600 });
    expect(load(`${PEER}secret_file = "there"`, 0o644).warnings).toEqual([]);
  });
});

describe("what is not UTF-8", () => {
  const octets = (...parts: (string | number)[]): Buffer =>
    Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part) : Buffer.of(part))));
  const ROWS: readonly (readonly [Buffer, string])[] = [
    [octets(0xff, 0xfe, "["), "site.toml:1: not UTF-8: found the octet 0xff at offset 0"],
    [octets(PEER, "# caf", 0xe9, "\n"), "site.toml:3: not UTF-8: found the octet 0xe9 at offset 35"],
    [octets("# é€😀", 0x80), "site.toml:1: not UTF-8: found the octet 0x80 at offset 11"],
    [octets("# \ufffd\n# \ufffd", 0xc0), "site.toml:2: not UTF-8: found the octet 0xc0 at offset 11"],
    [octets("# ", 0xe2, 0x82), "site.toml:1: not UTF-8: found the octet 0xe2 at offset 2"],
    [octets("# ", 0xed, 0xa0, 0x80), "site.toml:1: not UTF-8: found the octet 0xed at offset 2"],
  ];
  test.each(ROWS)("%o", (content, message) => {
    expect(complaint(content)).toBe(message);
  });

  test("what is has its replacement characters and byte order mark", () => {
    expect(load(`\ufeff# \ufffd é\n${PEER}`).tunnels).toHaveLength(1);
  });
});
