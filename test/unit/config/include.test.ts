import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ConfigError } from "../../../src/config/config-error.ts";
import { loadSite } from "../../../src/config/load.ts";
import { listSecretFiles } from "../../../src/config/secret-paths.ts";

const INCLUDE = `include = ["conf.d/*.toml"]\n`;
const PARIS = `[tunnel.paris]\npeer = "192.0.2.2"\n`;
const LYON = `[tunnel.lyon]\npeer = "192.0.2.3"\n`;

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "include-"));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

function write(name: string, text: string, mode = 0o600): void {
  const path = join(directory, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  chmodSync(path, mode);
}

const load = () => loadSite(join(directory, "site.toml"));
const names = () => load().tunnels.map(({ name }) => name);

/** What is wrong, with paths as they are in the directory. */
function complaints(): readonly string[] {
  try {
    load();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message.replaceAll(`${directory}/`, "").split("\n");
  }
  return [];
}

describe("which files", () => {
  test("those that fit, sorted, beside the main file's own tables", () => {
    write("site.toml", INCLUDE + PARIS);
    write("conf.d/20-b.toml", `[tunnel.b]\npeer = "192.0.2.11"`);
    write("conf.d/10-a.toml", `[tunnel.a]\npeer = "192.0.2.10"`);
    write("conf.d/30-c.toml.off", "no TOML at all");
    write("conf.d/.hidden.toml", "nor this");
    mkdirSync(join(directory, "conf.d/directory.toml"));
    expect(names()).toEqual(["paris", "a", "b"]);
  });

  test("a question mark stands for one character, and a file that fits twice is read once", () => {
    write("site.toml", `include = ["?.toml", "b.toml", "[b].toml*"]\n`);
    write("b.toml", LYON);
    write("bb.toml", PARIS);
    expect(names()).toEqual(["lyon"]);
  });

  test("nothing that fits, and no directory, is fine", () => {
    write("site.toml", INCLUDE + PARIS);
    expect(names()).toEqual(["paris"]);
  });

  test("a plain name has to be there", () => {
    write("site.toml", `include = ["lyon.toml"]\n${PARIS}`);
    expect(complaints()).toEqual([expect.stringMatching(/^lyon\.toml: cannot be read: ENOENT/)]);
  });

  test.each([
    ['"conf.d/*.toml"', "found a string, allowed: a list of files"],
    ["[1]", "found a list, allowed: a list of files"],
    ['[""]', "found a list, allowed: a list of files"],
    ['["*/site.toml"]', '"*/site.toml": * and ? may stand in the last part of the path alone'],
  ])("include = %s is refused", (value, complaint) => {
    write("site.toml", `\ninclude = ${value}\n`);
    expect(complaints()).toEqual([expect.stringContaining(`site.toml:2: include: ${complaint}`)]);
  });

  test("in a file that is included it is refused", () => {
    write("site.toml", INCLUDE);
    write("conf.d/a.toml", `# more\n${INCLUDE}${PARIS}`);
    expect(complaints()).toEqual(["conf.d/a.toml:2: include: only the main file may include others"]);
  });

  test("the word is a suggestion for what is nearly it", () => {
    write("site.toml", `includes = ["a"]`);
    expect(complaints()[0]).toContain('did you mean "include"?');
  });
});

describe("what stands where", () => {
  test("tables of all files together: templates, a tunnel and its sessions", () => {
    write("site.toml", `${INCLUDE}[lcce]\nlisten = []\n[template.slow]\nhello_interval = "90s"`);
    write("conf.d/a.toml", `${PARIS}template = "slow"`);
    write("conf.d/b.toml", "[tunnel.paris.session.lan42]\ncookie_size = 4");
    expect(load()).toMatchObject({
      lcce: { listen: [] },
      tunnels: [{ name: "paris", helloIntervalMs: 90_000, sessions: [{ name: "lan42", cookieSize: 4 }] }],
    });
    expect(load().given).toContain("tunnel.paris.session.lan42.cookie_size");
  });

  test("a table in two files", () => {
    write("site.toml", INCLUDE + PARIS);
    write("conf.d/a.toml", `\n${LYON}\n${PARIS}`);
    write("conf.d/b.toml", LYON);
    expect(complaints()).toEqual([
      "conf.d/a.toml:5: tunnel.paris: defined twice, first in site.toml:2",
      "conf.d/b.toml:1: tunnel.lyon: defined twice, first in conf.d/a.toml:2",
    ]);
  });

  test("a key in two files, of a table that each writes in another way", () => {
    write("site.toml", `${INCLUDE}[tunnel.paris]\npeer = "192.0.2.2"\nretransmit = { initial = "2s" }`);
    write("conf.d/a.toml", `tunnel.paris.peer = "192.0.2.3"`);
    expect(complaints()).toEqual(["conf.d/a.toml:1: tunnel.paris.peer: defined twice, first in site.toml:3"]);
  });

  test("errors and warnings name file and line, whatever file it is", () => {
    write("site.toml", `${INCLUDE}[lcce]\nlog_level = "loud"`);
    write("conf.d/a.toml", "\n\n[tunnel.paris]\npeer = 5");
    write("conf.d/b.toml", `${LYON}[tunnel.lyon.session.x]\ncookie_size = 3`);
    expect(complaints()).toEqual([
      expect.stringContaining("site.toml:3: lcce.log_level: "),
      expect.stringContaining("conf.d/a.toml:4: tunnel.paris.peer: "),
      expect.stringContaining("conf.d/b.toml:4: tunnel.lyon.session.x.cookie_size: "),
    ]);
  });

  test("what is no TOML is told of every file", () => {
    write("site.toml", INCLUDE);
    write("conf.d/a.toml", "\nx = = 1");
    write("conf.d/b.toml", "[");
    expect(complaints()).toEqual([
      expect.stringMatching(/^conf\.d\/a\.toml:2:\d+: no valid TOML/),
      expect.stringMatching(/^conf\.d\/b\.toml:1:\d+: no valid TOML/),
    ]);
  });
});

describe("secrets", () => {
  test("files are found from the directory of the file that names them", () => {
    write("site.toml", `${INCLUDE}${LYON}secret_file = "lyon.secret"`);
    write("conf.d/a.toml", `${PARIS}secret_file = "paris.secret"`);
    write("lyon.secret", "one");
    write("conf.d/paris.secret", "two");
    expect(load().tunnels.map(({ authentication: { secrets } }) => String(Buffer.from(secrets[0] ?? [])))).toEqual([
      "one",
      "two",
    ]);
    expect(listSecretFiles(join(directory, "site.toml"))).toEqual([
      join(directory, "lyon.secret"),
      join(directory, "conf.d/paris.secret"),
    ]);
  });

  test("a file with a secret in it has to be closed to others, and no other", () => {
    write("site.toml", INCLUDE + LYON, 0o644);
    write("conf.d/a.toml", `${PARIS}secret = "s3cr3t"`, 0o644);
    expect(complaints()).toEqual([expect.stringMatching(/^conf\.d\/a\.toml:3: tunnel\.paris\.secret: /)]);
    expect(complaints().join("")).not.toContain("s3cr3t");
    chmodSync(join(directory, "conf.d/a.toml"), 0o600);
    expect(complaints()).toEqual([]);
  });
});
