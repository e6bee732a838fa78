// The matrix of peers and features: what it has to fulfil, and how it reads. Nothing here touches a file.

const KINDS = { real: "real", scripted: "scripted", none: "–" };

/** The tests that have a peer itself at the other end: by peer, their files and what their titles say of it. */
const PEER_ITSELF = {
  softether: { "interop/softether/softether": "SoftEther", "interop/vm-setups": "SoftEther: " },
  linux: { "interop/vm-daemon": "static tunnels", "interop/vm-matrix": "ip l2tp" },
  own: {
    "interop/two-daemons": "two daemons",
    "interop/tshark-digests": "two daemons",
    "interop/static-tunnels": "two ends",
    "interop/vm-setups": "UDP and IP",
  },
};

/** Where each test is one scripted peer's, and its title begins with the make of that. */
const SCRIPTED_PEERS = ["interop/peers/scripted-peers", "interop/vm-peers"].map(fileOf);

const WORDS = { passed: "", failed: " FAILED", skipped: " (skipped)", missing: " (did not run)" };

/** "peers/restarts" and "conformance/4.2-x" are test files. */
export function fileOf(short) {
  const top = /^(?:conformance|unit|interop)\//.test(short) ? "" : "interop/";
  return `test/${top}${short}.test.ts`;
}

/** From the parsed matrix.toml: each cell that names a test, and what is wrong. */
export function readCells({ features, peer: peers }) {
  const problems = [];
  const cells = Object.entries(peers).flatMap(([peer, { title: _title, page: _page, make = "", ...row }]) => {
    const unknown = Object.keys(row).filter((feature) => !features.includes(feature));
    problems.push(...unknown.map((feature) => `${peer}: expected one of the features; found "${feature}"`));
    return Object.entries(row).flatMap(([feature, cell]) => readCell({ peer, make, feature }, cell, problems));
  });
  return { cells, problems: [...problems, ...sharedMakes(Object.entries(peers))] };
}

/** With another's make a peer could have another's tests. */
function sharedMakes(peers) {
  return peers.flatMap(([peer, { make }], index) => {
    const other = peers.slice(0, index).find(([, each]) => make !== undefined && each.make === make);
    return other === undefined ? [] : [`${peer}: expected a make of its own; found that of ${other[0]}`];
  });
}

function readCell({ peer, make, feature }, cell, problems) {
  const kinds = Object.keys(cell);
  if (kinds.length !== 1 || !Object.hasOwn(KINDS, kinds[0])) {
    problems.push(`${peer}, ${feature}: expected real, scripted or none; found ${JSON.stringify(cell)}`);
    return [];
  }
  if (kinds[0] === "none") return [];
  const where = cell[kinds[0]];
  const [, short, title] = /^([^:]+): (.+)$/.exec(where) ?? [];
  if (title !== undefined) return [{ peer, make, feature, kind: kinds[0], file: fileOf(short), title }];
  problems.push(`${peer}, ${feature}: expected "file: part of a title"; found "${where}"`);
  return [];
}

/** A line for each cell whose test is not there, or is not one of that peer. `tests`: `{ file, title }`. */
export function namedTests(cells, tests) {
  return cells.flatMap((cell) => {
    const { peer, feature, file, title } = cell;
    const named = testsOf(cell, tests);
    const expected =
      named.length === 0
        ? `expected a test of ${file}; found none with "${title}"`
        : (wrongKind(cell) ?? named.map((test) => foreign(cell, test)).find((words) => words !== undefined));
    return expected === undefined ? [] : [`${peer}, ${feature}: ${expected}`];
  });
}

function testsOf({ file, title }, tests) {
  return tests.filter((test) => test.file === file && test.title.includes(title));
}

function wrongKind({ peer, kind, file, make }) {
  if (kind === "scripted") return make === "" ? "expected the peer to have a make; found none" : undefined;
  return wordsOfItself(peer, file) === undefined
    ? `expected a file that runs the peer itself; found ${file}, which is none`
    : undefined;
}

function foreign({ peer, kind, file, make }, test) {
  const isRouter = SCRIPTED_PEERS.includes(file);
  // Elsewhere a title has the name without the model.
  const name = isRouter ? `${make}: ` : make.split(/[ ,]/, 1)[0];
  const words = kind === "real" ? wordsOfItself(peer, file) : name;
  return test.title.includes(words) ? undefined : `expected a test with "${words}" in its title; found "${test.title}"`;
}

function wordsOfItself(peer, file) {
  const files = Object.entries(PEER_ITSELF[peer] ?? {});
  return files.find(([short]) => fileOf(short) === file)?.[1];
}

/**
 * What a run of all tests has shown of each cell: "passed" where each test with that title did, "failed" where one
 * did not, "skipped" where one was, "missing" where there was none. `outcomes`: `{ file, title, status }`.
 */
export function judgeCells(cells, outcomes) {
  return cells.map((cell) => ({ ...cell, status: statusOf(testsOf(cell, outcomes)) }));
}

function statusOf(outcomes) {
  if (outcomes.length === 0) return "missing";
  if (outcomes.some(({ status }) => status === "failed")) return "failed";
  return outcomes.every(({ status }) => status === "passed") ? "passed" : "skipped";
}

/** The tests that a page names as `file: "title"`. */
export function titlesIn(markdown) {
  const named = /((?:conformance|unit|interop)\/[\w./-]+): "([^"]+)"/g;
  return [...markdown.matchAll(named)].map(([, file, title]) => ({ file, title }));
}

/** The page in Markdown, not yet laid out. */
export function writeMatrix(matrix) {
  return [
    "# Interoperability",
    "",
    "Written by `npm run interop` from [matrix.toml](matrix.toml), where every cell names its test; do not edit.",
    "`npm test` fails where a cell's test failed or is gone, and names the cells whose test was skipped on that machine;",
    "`npm run interop` then prints this table with what the last such run has shown.",
    "",
    "real: tested against the peer itself. scripted: against a peer that the test plays, from documentation and captures.",
    "An empty cell: untested. –: the peer has no such thing. The first column leads to a page with both configurations.",
    "",
    ...table(matrix, ({ title, page }) => `[${title}](${page})`, shown),
    "",
    "[mistakes.md](mistakes.md): what other implementations got wrong, and the tests that this one does not and survives it.",
    "",
    "[ipsec.md](../ipsec.md): IPsec with strongSwan, and WireGuard, between two ends that are Linux or speak IKEv2.",
    "",
  ].join("\n");
}

/** The same table with what a run has shown, in Markdown, not yet laid out. `judged`: of `judgeCells`. */
export function writeResults(matrix, judged) {
  const entries = judged.map(({ peer, feature, status }) => [`${peer}/${feature}`, WORDS[status]]);
  const results = new Map(entries);
  const cell = (each, peer, feature) => `${shown(each)}${results.get(`${peer}/${feature}`) ?? ""}`;
  return `${table(matrix, ({ title }) => title, cell).join("\n")}\n`;
}

function table({ features, peer: peers }, titleOf, cellOf) {
  const rows = Object.entries(peers).map(([peer, row]) => {
    return [titleOf(row), ...features.map((feature) => cellOf(row[feature], peer, feature))];
  });
  const lines = [["peer", ...features], Array(features.length + 1).fill("---"), ...rows];
  return lines.map((cells) => `| ${cells.join(" | ")} |`);
}

function shown(cell) {
  return cell === undefined ? "" : KINDS[Object.keys(cell)[0]];
}
