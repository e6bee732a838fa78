// What is in the Debian package, and where: the tree that dpkg-deb packs.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { NATIVE_PACKAGES } from "./native-packages.mjs";
import { root } from "./prepare.mjs";

const PROGRAM = "usr/lib/l2tpv3-lcc";
const UNITS = "usr/lib/systemd/system";
const SHARE = "usr/share/l2tpv3-lcc";
const DOCUMENTS = "usr/share/doc/l2tpv3-lcc";

/** Of packages that only types, or building them anew, need. */
const USELESS_PACKAGES = /^node_modules\/(?:@types\/|undici-types$|node-addon-api$)/;
/** Sources, types and documentation of packages; their licences stay. */
const USELESS_FILES =
  /(?:\.(?:ts|cts|mts|map|md|markdown|c|cc|cpp|h|hh|inc|S|asm|gyp|html|png|svg|ico|yml|sh|py|patch)|\/\.[^/]+|\.test\.js)$/;
const USELESS_FOLDERS =
  /\/(?:doc|docs|docsify|test|tests|fixture|bench|benchmarks|example|examples|musl_[^/]*)(?:\/|$)/;
const LICENCE = /^(?:licen[cs]e|copying|notice)/i;

/** Node's name of a processor by Debian's. */
const PROCESSORS = { amd64: "x64", arm64: "arm64", armhf: "arm", i386: "ia32" };

/** Fills the empty folder `tree` for Debian's `architecture`. Throws where a part for that is not installed. */
export function fillTree(tree, architecture) {
  const put = (from, to) => {
    mkdirSync(dirname(join(tree, to)), { recursive: true });
    cpSync(join(root, from), join(tree, to), { recursive: true });
  };
  put("package.json", `${PROGRAM}/package.json`);
  put("dist/bin", `${PROGRAM}/dist/bin`);
  for (const folder of nativePackages()) putPackage(tree, folder, architecture);
  requireNativeParts(tree, architecture);
  mkdirSync(join(tree, "usr/bin"), { recursive: true });
  symlinkSync("../lib/l2tpv3-lcc/dist/bin/main.js", join(tree, "usr/bin/l2tpv3-lcc"));

  put("conf/site.toml", "etc/l2tpv3-lcc/site.toml");
  for (const unit of ["l2tpv3-lcc.service", "l2tpv3-lcc@.service"]) put(`conf/${unit}`, `${UNITS}/${unit}`);
  put("conf/systemd/sysusers.conf", "usr/lib/sysusers.d/l2tpv3-lcc.conf");
  for (const name of ["reload-by-command.conf", "netns.conf"]) put(`conf/systemd/${name}`, `${SHARE}/systemd/${name}`);
  for (const name of ["grafana", "prometheus"]) put(`conf/${name}`, `${SHARE}/${name}`);
  // Where README.md, and those of the examples, say that they are.
  put("conf/examples", `${DOCUMENTS}/conf/examples`);
  put("README.md", `${DOCUMENTS}/README.md`);
  putCompressed(join(root, "CHANGELOG.md"), join(tree, DOCUMENTS, "changelog.gz"));
  writeFileSync(join(tree, DOCUMENTS, "copyright"), copyright());
  for (const name of ["ipsec.md", "interop", "show.schema.json"]) put(`docs/${name}`, `${DOCUMENTS}/docs/${name}`);
  putManuals(tree);
  putCompletions(tree);
}

/** The folders of the packages that an installation without development dependencies has. */
function productionPackages() {
  const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
  const names = Object.entries(packages).filter(([path, entry]) => path !== "" && !entry.dev);
  return names.map(([path]) => path).filter((path) => !USELESS_PACKAGES.test(path) && existsSync(join(root, path)));
}

/** Those that are not within dist/bin, with what they need themselves. */
function nativePackages() {
  const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
  const wanted = new Set(NATIVE_PACKAGES);
  for (const name of wanted) {
    const { dependencies, optionalDependencies } = packages[`node_modules/${name}`] ?? {};
    for (const each of Object.keys({ ...dependencies, ...optionalDependencies })) wanted.add(each);
  }
  return productionPackages().filter((folder) => wanted.has(folder.slice("node_modules/".length)));
}

function putPackage(tree, folder, architecture) {
  const from = join(root, folder);
  const prebuilt = `/prebuilds/linux-${PROCESSORS[architecture]}`;
  cpSync(from, join(tree, PROGRAM, folder), {
    recursive: true,
    filter(path) {
      const inside = path.slice(from.length);
      // Those within are packages of their own.
      if (inside === "/node_modules" || inside.startsWith("/node_modules/")) return false;
      if (LICENCE.test(basename(path))) return true;
      if (/^\/prebuilds\//.test(inside)) return inside.startsWith(prebuilt);
      return !USELESS_FILES.test(inside) && !USELESS_FOLDERS.test(inside);
    },
  });
}

function requireNativeParts(tree, architecture) {
  const processor = PROCESSORS[architecture];
  const parts = [
    `node_modules/netlink/prebuilds/linux-${processor}/node.napi.node`,
    `node_modules/@koromix/koffi-linux-${processor}/linux_${processor}/koffi.node`,
  ];
  for (const part of parts) {
    if (!existsSync(join(tree, PROGRAM, part)))
      throw new Error(`no ${part} for ${architecture}: npm ci there brings it`);
  }
}

/** man/NAME.SECTION. */
function putManuals(tree) {
  const folder = join(root, "man");
  for (const page of readdirSync(folder)) {
    putCompressed(join(folder, page), join(tree, "usr/share/man", `man${page.at(-1)}`, `${page}.gz`));
  }
}

/** What the program prints for each shell, where that looks for it. */
const COMPLETIONS = {
  bash: "usr/share/bash-completion/completions/l2tpv3-lcc",
  zsh: "usr/share/zsh/vendor-completions/_l2tpv3-lcc",
};

function putCompletions(tree) {
  for (const [shell, path] of Object.entries(COMPLETIONS)) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    const program = join(root, "dist/bin/main.js");
    writeFileSync(join(tree, path), execFileSync(process.execPath, [program, "completion", shell]));
  }
}

/** Without name and time of the file, so that the same text gives the same octets. */
function putCompressed(from, to) {
  mkdirSync(dirname(to), { recursive: true });
  writeFileSync(to, gzipSync(readFileSync(from), { level: 9 }));
}

function copyright() {
  const own = `l2tpv3-lcc\n\n${readFileSync(join(root, "LICENSE"), "utf8")}`;
  const natives = new Set(nativePackages());
  const bundled = productionPackages().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8"));
    const file = readdirSync(join(root, folder)).find((each) => LICENCE.test(each));
    const text = file === undefined ? "" : `\n${readFileSync(join(root, folder, file), "utf8")}`;
    const place = natives.has(folder) ? folder : "dist/bin";
    return `${name} ${version}, licence ${license ?? "see below"}, in /${PROGRAM}/${place}\n${text}`;
  });
  return [own, "The package contains:", ...bundled].join(`\n${"-".repeat(72)}\n`);
}
