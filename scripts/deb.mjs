// npm run deb: a Debian package of what is built here, with its dependencies inside, made by dpkg-deb. The same commit gives
// the same octets (SOURCE_DATE_EPOCH is the commit's time unless it is set). See README.md, "Packages".
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { fillTree } from "./deb-tree.mjs";
import { NATIVE_PACKAGES } from "./native-packages.mjs";
import { prepare, root } from "./prepare.mjs";

const USAGE = `Usage: npm run deb -- [--out DIR] [--version VERSION]

  --out DIR          where the package is put (default: dist/deb)
  --version VERSION  its version (default: that of package.json)`;

const SCRIPTS = ["postinst", "prerm", "postrm"];
const CONFFILES = ["/etc/l2tpv3-lcc/site.toml"];
/** The oldest ones that the native parts ask for are older still; those of Debian 11. */
const DEPENDS = "nodejs (>= 20.19), libc6 (>= 2.31), libstdc++6 (>= 10), libgcc-s1";

function control({ version, architecture, installedKib }) {
  const { description } = readPackage();
  return `Package: l2tpv3-lcc
Version: ${version}
Architecture: ${architecture}
Maintainer: the l2tpv3-lcc authors <l2tpv3-lcc@localhost>
Installed-Size: ${installedKib}
Depends: ${DEPENDS}
Recommends: kmod, iproute2
Section: net
Priority: optional
Description: L2TPv3 (RFC 3931) control plane for Linux
 ${description}.
 Its JavaScript dependencies are inside, so nothing is downloaded when it is
 installed.
`;
}

function readPackage() {
  return JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
}

/** Every path below `folder`, relative to it. */
function pathsIn(folder) {
  return readdirSync(folder, { recursive: true }).map(String).sort();
}

/** Rights do not depend on the umask, or on how the packages were installed. */
function setModes(tree) {
  for (const path of pathsIn(tree)) {
    const file = join(tree, path);
    const status = lstatSync(file);
    if (status.isSymbolicLink()) continue;
    const isProgram = path.endsWith("dist/bin/main.js") || /^DEBIAN\/(?:post|pre)/.test(path);
    chmodSync(file, status.isDirectory() || isProgram ? 0o755 : 0o644);
  }
  chmodSync(tree, 0o755);
  // Whoever writes a secret into it shall not have to think of this.
  chmodSync(join(tree, "etc/l2tpv3-lcc/site.toml"), 0o640);
}

function writeControl(tree, { version, architecture }) {
  const files = pathsIn(tree).filter((path) => lstatSync(join(tree, path)).isFile());
  const octets = files.reduce((sum, path) => sum + lstatSync(join(tree, path)).size, 0);
  const sums = files.map(
    (path) =>
      `${createHash("md5")
        .update(readFileSync(join(tree, path)))
        .digest("hex")}  ${path}\n`,
  );
  const folder = join(tree, "DEBIAN");
  mkdirSync(folder);
  writeFileSync(join(folder, "control"), control({ version, architecture, installedKib: Math.ceil(octets / 1024) }));
  writeFileSync(join(folder, "conffiles"), `${CONFFILES.join("\n")}\n`);
  writeFileSync(join(folder, "md5sums"), sums.join(""));
  for (const script of SCRIPTS) cpSync(join(root, "packaging/deb", script), join(folder, script));
}

/** Too much may have been left out. */
function requireThatItLoads(tree) {
  const program = join(tree, "usr/lib/l2tpv3-lcc");
  const imports = NATIVE_PACKAGES.map((name) => `import ${JSON.stringify(name)};`);
  const load = ["--input-type=module", "--eval", imports.join("")];
  execFileSync(process.execPath, load, { cwd: program, stdio: ["ignore", "inherit", "inherit"] });
}

function sourceDate() {
  const given = process.env.SOURCE_DATE_EPOCH;
  if (given !== undefined) return given;
  try {
    const git = ["log", "-1", "--format=%ct"];
    return execFileSync("git", git, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    // From an archive of the sources.
    return String(Math.floor(lstatSync(join(root, "package.json")).mtimeMs / 1000));
  }
}

function build({ out, version }) {
  const architecture = execFileSync("dpkg", ["--print-architecture"], { encoding: "utf8" }).trim();
  const tree = mkdtempSync(join(tmpdir(), "l2tpv3-lcc-deb-"));
  try {
    fillTree(tree, architecture);
    requireThatItLoads(tree);
    writeControl(tree, { version, architecture });
    setModes(tree);
    mkdirSync(out, { recursive: true });
    const file = join(out, `l2tpv3-lcc_${version}_${architecture}.deb`);
    // One thread: how many there are decides where the blocks of xz end.
    const pack = ["--root-owner-group", "--threads-max=1", "-Zxz", "--build", tree, file];
    const env = { ...process.env, SOURCE_DATE_EPOCH: sourceDate() };
    execFileSync("dpkg-deb", pack, { env, stdio: ["ignore", "ignore", "inherit"] });
    return file;
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}

try {
  const options = {
    out: { type: "string", default: join(root, "dist/deb") },
    version: { type: "string", default: readPackage().version },
    help: { type: "boolean", default: false },
  };
  const { values } = parseArgs({ options });
  if (values.help) console.log(USAGE);
  else {
    await prepare();
    console.log(relative(process.cwd(), build({ out: resolve(values.out), version: values.version })));
  }
} catch (error) {
  console.error(`deb: ${error.message}`);
  process.exitCode = 1;
}
