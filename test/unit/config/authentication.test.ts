import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ConfigError } from "../../../src/config/config-error.ts";
import { loadSite, parseSite } from "../../../src/config/load.ts";
import { exposureOf } from "../../../src/config/secret-file.ts";
import type { AuthenticationConfiguration } from "../../../src/control/configuration.ts";

const octets = (text: string): Uint8Array => new TextEncoder().encode(text);

const PEER = `[tunnel.t]\npeer = "192.0.2.2"\n`;

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "authentication-"));
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

/** What a file site.toml in this test's directory says of its first tunnel. */
function read(toml: string): { authentication: AuthenticationConfiguration; warnings: readonly string[] } {
  const { tunnels, warnings } = parseSite(toml, join(directory, "site.toml"));
  const [tunnel] = tunnels;
  if (tunnel === undefined) throw new Error("no tunnel");
  return { authentication: tunnel.authentication, warnings: warnings.map(withoutDirectory) };
}

function complaint(toml: string): string {
  try {
    parseSite(toml, join(directory, "site.toml"));
  } catch (error) {
    if (error instanceof ConfigError) return withoutDirectory(error.message);
    throw error;
  }
  throw new Error("accepted");
}

function withoutDirectory(text: string): string {
  return text.replaceAll(`${directory}/`, "");
}

function write(name: string, content: string | Uint8Array, mode = 0o600): void {
  const path = join(directory, name);
  writeFileSync(path, content);
  // The umask has no say in this.
  chmodSync(path, mode);
}

describe("what is sent and accepted", () => {
  const ROWS: readonly (readonly [keys: string, expected: AuthenticationConfiguration])[] = [
    ["", { secrets: [], digest: "none", hidden: false, chapPassword: undefined }],
    ['digest = "none"', { secrets: [], digest: "none", hidden: false, chapPassword: undefined }],
    ['digest = "md5"', { secrets: [], digest: "md5", hidden: false, chapPassword: undefined }],
    ['digest = "sha1"', { secrets: [], digest: "sha1", hidden: false, chapPassword: undefined }],
    ["hidden = false", { secrets: [], digest: "none", hidden: false, chapPassword: undefined }],
    ['secret = ""', { secrets: [octets("")], digest: "md5", hidden: false, chapPassword: undefined }],
    ['secret = "xyzzy"', { secrets: [octets("xyzzy")], digest: "md5", hidden: false, chapPassword: undefined }],
    [
      'secret = "xyzzy"\ndigest = "sha1"',
      { secrets: [octets("xyzzy")], digest: "sha1", hidden: false, chapPassword: undefined },
    ],
    ['secret = "café\\n"', { secrets: [octets("café\n")], digest: "md5", hidden: false, chapPassword: undefined }],
    [
      'secret = "xyzzy"\nhidden = true',
      { secrets: [octets("xyzzy")], digest: "md5", hidden: true, chapPassword: undefined },
    ],
    [
      'secret_previous = "plugh"\nsecret = "xyzzy"',
      { secrets: [octets("xyzzy"), octets("plugh")], digest: "md5", hidden: false, chapPassword: undefined },
    ],
    [
      'secret_previous = "plugh"\nsecret = ""',
      { secrets: [octets(""), octets("plugh")], digest: "md5", hidden: false, chapPassword: undefined },
    ],
    [
      `secret = "${"é".repeat(512)}"`,
      { secrets: [octets("é".repeat(512))], digest: "md5", hidden: false, chapPassword: undefined },
    ],
  ];
  test.each(ROWS)("%s", (keys, expected) => {
    expect(read(PEER + keys)).toEqual({ authentication: expected, warnings: [] });
  });
});

describe("secret files", () => {
  const LONGEST = "x".repeat(1024);
  const CONTENTS: readonly (readonly [name: string, content: string | Uint8Array, secret: Uint8Array])[] = [
    ["a line", "xyzzy\n", octets("xyzzy")],
    ["without a newline", "xyzzy", octets("xyzzy")],
    ["one newline of two", "xyzzy\n\n", octets("xyzzy\n")],
    ["blanks and newlines before", "\n xyzzy \n", octets("\n xyzzy ")],
    ["what is no text", Uint8Array.of(0, 0xff, 0xfe, 0x0a), Uint8Array.of(0, 0xff, 0xfe)],
    ["the longest", LONGEST, octets(LONGEST)],
    ["the longest, and a newline", `${LONGEST}\n`, octets(LONGEST)],
  ];
  test.each(CONTENTS)("%s", (_, content, secret) => {
    write("a", content);
    const { authentication, warnings } = read(`${PEER}secret_file = "a"`);
    expect(warnings).toEqual([]);
    expect(authentication.digest).toBe("md5");
    expect(authentication.secrets.map((each) => [...each])).toEqual([[...secret]]);
  });

  test("relative to the configuration file, absolute, in another directory, through a link", () => {
    mkdirSync(join(directory, "secrets"));
    write("secrets/now", "now\n", 0o400);
    symlinkSync("secrets/now", join(directory, "link"));
    for (const path of ["secrets/now", "./secrets/../secrets/now", join(directory, "secrets/now"), "link"]) {
      expect(read(`${PEER}secret_file = "${path}"`).authentication.secrets).toEqual([octets("now")]);
    }
  });

  test("loadSite takes the directory of the path that it is given", () => {
    write("now", "now\n");
    write("before", "before\n");
    writeFileSync(
      join(directory, "site.toml"),
      `${PEER}secret_file = "now"\nsecret_previous_file = "before"\nhidden = true`,
    );
    expect(loadSite(join(directory, "site.toml")).tunnels[0]?.authentication).toEqual({
      secrets: [octets("now"), octets("before")],
      digest: "md5",
      hidden: true,
    });
  });

  test("the file of the CHAP password is read like that of a secret", () => {
    write("a", "xyzzy\n\n");
    const { authentication, warnings } = read(`${PEER}chap_password_file = "a"`);
    expect(warnings).toEqual([]);
    expect(authentication).toEqual({ secrets: [], digest: "none", hidden: false, chapPassword: octets("xyzzy\n") });
  });

  describe.each(["secret_file", "secret_previous_file", "chap_password_file"])("%s is refused", (key) => {
    const refusal = (path: string): string => {
      const secret = key === "secret_previous_file" ? 'secret = "now"\n' : "";
      const line = key === "secret_previous_file" ? 4 : 3;
      const message = complaint(`${PEER}${secret}${key} = ${JSON.stringify(path)}`);
      const place = `site.toml:${line}: tunnel.t.${key}: `;
      expect(message.slice(0, place.length)).toBe(place);
      return message.slice(place.length);
    };

    test.each([0o644, 0o604, 0o601, 0o602, 0o666, 0o777])("with mode %o", (mode) => {
      write("a", "xyzzy\n", mode);
      expect(refusal("a")).toBe(`"a" is open to other users (mode 0${mode.toString(8)}): chmod 600 "a"`);
    });

    test.each(["", "\n"])("when it is %j", (content) => {
      write("a", content);
      expect(refusal("a")).toBe('"a" is empty');
    });

    test.each([1025, 1026, 1027, 100_000])("with %d octets", (length) => {
      write("a", "x".repeat(length));
      expect(refusal("a")).toBe('"a" is too long, allowed: 1 to 1024 octets');
      write("a", `${"x".repeat(length)}\n`);
      expect(refusal("a")).toBe('"a" is too long, allowed: 1 to 1024 octets');
    });

    test("with a line of 1024 octets and more behind it", () => {
      write("a", `${"x".repeat(1024)}\nx`);
      expect(refusal("a")).toBe('"a" is too long, allowed: 1 to 1024 octets');
    });

    test("when it is a directory, a FIFO or a device", () => {
      mkdirSync(join(directory, "d"));
      execFileSync("/usr/bin/mkfifo", [join(directory, "fifo")]);
      for (const path of ["d", "fifo", "/dev/null"]) expect(refusal(path)).toBe(`"${path}" is no regular file`);
    });

    test("when it is not there", () => {
      expect(refusal("a")).toBe("cannot be read: ENOENT: no such file or directory, open 'a'");
    });
  });

  test.each([0o640, 0o660, 0o440])("mode %o gives a warning", (mode) => {
    write("a", "xyzzy\n", mode);
    expect(read(`${PEER}secret_file = "a"`)).toEqual({
      authentication: { secrets: [octets("xyzzy")], digest: "md5", hidden: false, chapPassword: undefined },
      warnings: [
        `site.toml:3: tunnel.t.secret_file: "a" is open to its group (mode 0${mode.toString(8)}); chmod 600 keeps it to its owner`,
      ],
    });
  });

  test("the group's bits of a credential of systemd's mean nothing, those of others do", () => {
    const path = "/run/credentials/l2tpv3-lcc.service/paris";
    expect([exposureOf(path, 0o100400), exposureOf(path, 0o100440)]).toEqual([undefined, undefined]);
    expect(exposureOf(path, 0o100444)).toMatchObject({ refused: true });
    expect(exposureOf(`/srv${path}`, 0o100440)).toMatchObject({ refused: false });
  });

  test("a line end of another system gives a warning", () => {
    write("a", "xyzzy\r\n");
    expect(read(`${PEER}secret_file = "a"`)).toEqual({
      authentication: { secrets: [octets("xyzzy\r")], digest: "md5", hidden: false, chapPassword: undefined },
      warnings: [
        'site.toml:3: tunnel.t.secret_file: "a" ends in a carriage return, which is taken as part of the secret',
      ],
    });
  });
});

describe("what does not go together", () => {
  const OTHER = "allowed: one of them";
  const NONE = 'found "none", which would leave the secret unused, allowed with a secret: "md5" or "sha1"';
  const ROWS: readonly (readonly [keys: string, message: string])[] = [
    ['secret = "a"\nsecret_file = "b"', `4: tunnel.t.secret_file: secret and secret_file exclude each other, ${OTHER}`],
    [
      'secret = "a"\nsecret_previous = "b"\nsecret_previous_file = "c"',
      `5: tunnel.t.secret_previous_file: secret_previous and secret_previous_file exclude each other, ${OTHER}`,
    ],
    ['secret = "a"\ndigest = "none"', `4: tunnel.t.digest: ${NONE}`],
    ['secret = ""\ndigest = "none"', `4: tunnel.t.digest: ${NONE}`],
    ["hidden = true", "3: tunnel.t.hidden: hiding needs secret or secret_file"],
    ['digest = "md5"\nhidden = true', "4: tunnel.t.hidden: hiding needs secret or secret_file"],
    ['secret_previous = "a"', "3: tunnel.t.secret_previous: a previous secret needs secret or secret_file beside it"],
    [
      'secret = "a"\nsecret_previous = ""',
      "4: tunnel.t.secret_previous: the empty secret would let everybody in: leave the key out",
    ],
    [
      'chap_password = "a"\nchap_password_file = "b"',
      `4: tunnel.t.chap_password_file: chap_password and chap_password_file exclude each other, ${OTHER}`,
    ],
    ['chap_password = ""', "3: tunnel.t.chap_password: the empty password would prove nothing: leave the key out"],
    // One mistake, one message: nothing is said of what depends on it.
    [
      'secret = 5\nhidden = true\nsecret_previous = "a"',
      "3: tunnel.t.secret: found a number, allowed: a string of at most 1024 octets",
    ],
    [
      'secret_file = "none"\nhidden = true\nsecret_previous = "a"',
      "3: tunnel.t.secret_file: cannot be read: ENOENT: no such file or directory, open 'none'",
    ],
  ];
  test.each(ROWS)("%j", (keys, message) => {
    expect(complaint(PEER + keys)).toBe(`site.toml:${message}`);
  });

  test("the previous secret that is the secret itself is left out, with a warning", () => {
    write("a", "xyzzy\n");
    for (const key of ['secret_previous = "xyzzy"', 'secret_previous_file = "a"']) {
      expect(read(`${PEER}secret = "xyzzy"\n${key}`)).toEqual({
        authentication: { secrets: [octets("xyzzy")], digest: "md5", hidden: false, chapPassword: undefined },
        warnings: [`site.toml:4: tunnel.t.${key.split(" ")[0]}: the same as the secret itself: it does nothing`],
      });
    }
  });

  test("hiding with the empty secret gives a warning", () => {
    expect(read(`${PEER}secret = ""\nhidden = true`)).toEqual({
      authentication: { secrets: [octets("")], digest: "md5", hidden: true, chapPassword: undefined },
      warnings: ["site.toml:4: tunnel.t.hidden: with the empty secret anybody can read what is hidden"],
    });
  });
});

describe("one wrong value", () => {
  const SECRET = "allowed: a string of at most 1024 octets";
  const PATH = "allowed: a path, absolute or relative to this file's directory";
  const ROWS: readonly (readonly [toml: string, message: string])[] = [
    ["secret = true", `secret: found a boolean, ${SECRET}`],
    ["secret = 1979-05-27", `secret: found a date, ${SECRET}`],
    ['secret = ["a"]', `secret: found a list, ${SECRET}`],
    ['secret = { a = "b" }', `secret: found a table, ${SECRET}`],
    [`secret = "${"é".repeat(513)}"`, `secret: found a string, ${SECRET}`],
    ["secret_previous = 5", `secret_previous: found a number, ${SECRET}`],
    ["chap_password = 5", `chap_password: found a number, ${SECRET}`],
    ["chap_password_file = 5", `chap_password_file: found a number, ${PATH}`],
    ["secret_file = 5", `secret_file: found a number, ${PATH}`],
    ['secret_file = ""', `secret_file: found an empty string, ${PATH}`],
    ['secret_file = "a\\u0000"', `secret_file: found a string, ${PATH}`],
    ['digest = "sha"', 'digest: found "sha", allowed: "md5", "sha1" or "none", did you mean "sha1"?'],
    ['digest = "sha256"', 'digest: found "sha256", allowed: "md5", "sha1" or "none"'],
    ['hidden = "true"', 'hidden: found "true", allowed: true or false'],
    ["hidden = 1", "hidden: found 1, allowed: true or false"],
    ['secert = "a"', 'secert: unknown key, did you mean "secret"?'],
  ];
  test.each(ROWS)("%s", (toml, message) => {
    expect(complaint(PEER + toml)).toBe(`site.toml:3: tunnel.t.${message}`);
  });
});

describe("templates", () => {
  test("a tunnel's own secret goes before its template's, whichever of the two ways each is given", () => {
    write("a", "of the template\n");
    const template = `[template.x]\nsecret_file = "a"\nsecret_previous = "before"\ndigest = "sha1"\nhidden = true\n`;
    expect(read(`${template}${PEER}template = "x"`).authentication.secrets).toEqual([
      octets("of the template"),
      octets("before"),
    ]);
    expect(read(`${template}${PEER}template = "x"\nsecret = "own"`)).toEqual({
      authentication: {
        secrets: [octets("own"), octets("before")],
        digest: "sha1",
        hidden: true,
        chapPassword: undefined,
      },
      warnings: [],
    });
  });

  test("what is wrong in a template is said once, and what nobody uses is not read", () => {
    const tunnels = ["a", "b", "c"].map((name) => `[tunnel.${name}]\npeer = "${name}"\ntemplate = "x"\n`).join("");
    expect(complaint(`[template.x]\nsecret_file = "none"\n${tunnels}`)).toBe(
      "site.toml:2: template.x.secret_file: cannot be read: ENOENT: no such file or directory, open 'none'",
    );
    write("a", "xyzzy\n", 0o640);
    expect(read(`[template.x]\nsecret_file = "a"\n${tunnels}`).warnings).toHaveLength(1);
    expect(read(`[template.x]\nsecret_file = "none"\n${PEER}`).authentication.secrets).toEqual([]);
  });
});
