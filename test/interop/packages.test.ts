import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { execute } from "../support/namespaces.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const { version, bin, dependencies, devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const noDpkg = existsSync("/usr/bin/dpkg-deb") ? undefined : "needs dpkg-deb";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "l2tpv3-lcc-packages-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** The program is there, loads, and so do its native parts. */
async function expectToRun(command: string, packageFolder: string, example: string): Promise<void> {
  expect(await execute(command, ["--version"])).toMatchObject({ code: 0, stdout: `l2tpv3-lcc ${version}\n` });
  const check = await execute(command, ["check", "--conf", example]);
  expect(check).toMatchObject({ code: 0, stdout: `${example}: good, 1 tunnel with 1 session\n` });
  const call = `const load = require("node:module").createRequire(${JSON.stringify(join(packageFolder, "dist/bin/main.js"))});
    const isCalled = load("koffi").load("libc.so.6").func("int getpid()")() === process.pid;
    process.stdout.write(JSON.stringify([isCalled, typeof load("netlink").RawNetlinkSocket]));`;
  const called = await execute(process.execPath, ["--eval", call]);
  expect(called).toMatchObject({ code: 0, stdout: '[true,"function"]' });
}

/** What a page of ours refers to beside it. */
function documentsIn(markdown: string): readonly string[] {
  const links = markdown.matchAll(/\]\((docs\/[^)#]+)\)/g);
  const names = markdown.matchAll(/`((?:docs|conf\/examples)\/[\w./-]+)`/g);
  const paths = [...links, ...names].map(([, path = ""]) => path.replace(/\/$/, ""));
  expect(paths.length).toBeGreaterThan(3);
  return paths;
}

describe("npm pack", () => {
  test("its package is installed into an empty folder, and runs", async () => {
    const pack = ["pack", "--json", "--pack-destination", folder];
    const output = execFileSync("npm", pack, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    const [{ filename, integrity, files }] = JSON.parse(output);
    const paths: string[] = files.map(({ path }: { readonly path: string }) => path);
    expect(paths).toEqual(
      expect.arrayContaining(["LICENSE", "conf/site.toml", "conf/l2tpv3-lcc.service", "man/l2tpv3-lcc.8"]),
    );
    expect(paths.filter((path) => /^(?:test|src|bench|scripts|node_modules)\//.test(path))).toEqual([]);

    // The versions of our lock file, which npm has in its cache since it installed them here.
    const prefix = join(folder, "prefix");
    const wanted = { "l2tpv3-lcc": `file:../${filename}` };
    const own = { version, resolved: `file:../${filename}`, integrity, dependencies, bin };
    const lock: { packages: Record<string, { dev?: boolean }> } = JSON.parse(
      readFileSync(join(root, "package-lock.json"), "utf8"),
    );
    const others = Object.entries(lock.packages).filter(([path, { dev }]) => path !== "" && !dev);
    const packages = {
      "": { name: "prefix", dependencies: wanted },
      "node_modules/l2tpv3-lcc": own,
      ...Object.fromEntries(others),
    };
    // netlink's own choice of types is not in that file.
    const overrides = { "@types/node": devDependencies["@types/node"] };
    mkdirSync(prefix);
    writeFileSync(join(prefix, "package.json"), JSON.stringify({ name: "prefix", dependencies: wanted, overrides }));
    const lockFile = { name: "prefix", lockfileVersion: 3, requires: true, packages };
    writeFileSync(join(prefix, "package-lock.json"), JSON.stringify(lockFile));
    const install = ["ci", "--prefer-offline", "--no-audit", "--no-fund"];
    execFileSync("npm", install, { cwd: prefix, stdio: ["ignore", "ignore", "inherit"] });

    const installed = join(prefix, "node_modules/l2tpv3-lcc");
    await expectToRun(join(prefix, "node_modules/.bin/l2tpv3-lcc"), installed, join(installed, "conf/site.toml"));
  });
});

describe.skipIf(noDpkg !== undefined)(`npm run deb${noDpkg ? ` (${noDpkg})` : ""}`, () => {
  function build(name: string, umask: number): { readonly file: string; readonly octets: Buffer } {
    const out = join(folder, name);
    const before = process.umask(umask);
    const output = execFileSync(process.execPath, [join(root, "scripts/deb.mjs"), "--out", out], { encoding: "utf8" });
    process.umask(before);
    const file = join(process.cwd(), output.trim().split("\n").at(-1) ?? "");
    return { file, octets: readFileSync(file) };
  }

  test("its package has what it needs, is the same each time, and runs where it is unpacked", async () => {
    const { file, octets } = build("one", 0o022);
    const fields = execFileSync("dpkg-deb", ["--field", file], { encoding: "utf8" });
    expect(fields).toMatch(/^Depends: nodejs \(>= 20\.19\)/m);
    expect(fields).toContain(`\nVersion: ${version}\n`);
    const contents = execFileSync("dpkg-deb", ["--contents", file], { encoding: "utf8" });
    expect(contents).toMatch(/^-rw-r----- root\/root .* \.\/etc\/l2tpv3-lcc\/site\.toml$/m);
    expect(contents).toMatch(/^lrwxrwxrwx .* \.\/usr\/bin\/l2tpv3-lcc -> \.\.\/lib\/l2tpv3-lcc\/dist\/bin\/main\.js$/m);
    for (const unit of ["l2tpv3-lcc.service", "l2tpv3-lcc@.service"]) {
      expect(contents).toContain(` ./usr/lib/systemd/system/${unit}\n`);
    }
    expect(contents).not.toMatch(
      /musl_x64|koffi-win32|node_modules\/(?:typescript|vitest|rolldown|@biomejs|pino|xstate)/,
    );
    expect(contents.split("\n").filter((line) => line !== "" && !/ root\/root /.test(line))).toEqual([]);

    for (const page of ["man5/l2tpv3-lcc.toml.5", "man8/l2tpv3-lcc.8", "man8/l2tpv3-lcc-show.8"]) {
      expect(contents).toContain(` ./usr/share/man/${page}.gz\n`);
    }
    for (const path of documentsIn(readFileSync(join(root, "README.md"), "utf8"))) {
      expect(contents).toMatch(new RegExp(` \\./usr/share/doc/l2tpv3-lcc/${path}/?$`, "m"));
    }

    const tree = join(folder, "tree");
    execFileSync("dpkg-deb", ["--extract", file, tree]);
    const program = join(tree, "usr/lib/l2tpv3-lcc");
    await expectToRun(join(tree, "usr/bin/l2tpv3-lcc"), program, join(tree, "etc/l2tpv3-lcc/site.toml"));
    for (const [shell, path] of [
      ["bash", "bash-completion/completions/l2tpv3-lcc"],
      ["zsh", "zsh/vendor-completions/_l2tpv3-lcc"],
    ] as const) {
      const { stdout } = await execute(join(tree, "usr/bin/l2tpv3-lcc"), ["completion", shell]);
      expect(readFileSync(join(tree, "usr/share", path), "utf8")).toBe(stdout);
    }

    expect(build("two", 0o077).octets.equals(octets)).toBe(true);
  });
});
