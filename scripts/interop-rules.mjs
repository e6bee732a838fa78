// The matrix of peers and features: what it has to fulfil, and how it reads. Nothing here touches a file.

const KINDS = { real: "real", scripted: "scripted", none: "–" };

/** "peers/restarts" and "conformance/4.2-x" are test files. */
export function fileOf(short) {
  const top = /^(?:conformance|unit|interop)\//.test(short) ? "" : "interop/";
  return `test/${top}${short}.test.ts`;
}

/** From the parsed matrix.toml: `{ peer, feature, file, title }` for each cell that names a test, and what is wrong. */
export function readCells({ features, peer: peers }) {
  const problems = [];
  const cells = Object.entries(peers).flatMap(([peer, { title: _title, page: _page, ...row }]) => {
    const unknown = Object.keys(row).filter((feature) => !features.includes(feature));
    problems.push(...unknown.map((feature) => `${peer}: expected one of the features; found "${feature}"`));
    return Object.entries(row).flatMap(([feature, cell]) => readCell({ peer, feature }, cell, problems));
  });
  return { cells, problems };
}

function readCell({ peer, feature }, cell, problems) {
  const kinds = Object.keys(cell);
  if (kinds.length !== 1 || !Object.hasOwn(KINDS, kinds[0])) {
    problems.push(`${peer}, ${feature}: expected real, scripted or none; found ${JSON.stringify(cell)}`);
    return [];
  }
  if (kinds[0] === "none") return [];
  const where = cell[kinds[0]];
  const [, short, title] = /^([^:]+): (.+)$/.exec(where) ?? [];
  if (title !== undefined) return [{ peer, feature, file: fileOf(short), title }];
  problems.push(`${peer}, ${feature}: expected "file: part of a title"; found "${where}"`);
  return [];
}

/** A line for each cell whose test is not there. `tests`: `{ file, title }`. */
export function namedTests(cells, tests) {
  return cells
    .filter(({ file, title }) => !tests.some((test) => test.file === file && test.title.includes(title)))
    .map(({ peer, feature, file, title }) => {
      return `${peer}, ${feature}: expected a test of ${file}; found none with "${title}"`;
    });
}

/** The tests that a page names as `file: "title"`. */
export function titlesIn(markdown) {
  const named = /((?:conformance|unit|interop)\/[\w./-]+): "([^"]+)"/g;
  return [...markdown.matchAll(named)].map(([, file, title]) => ({ file, title }));
}

/** The page in Markdown, not yet laid out. */
export function writeMatrix({ features, peer: peers }) {
  const rows = Object.values(peers);
  return [
    "# Interoperability",
    "",
    "Written by `npm run interop` from [matrix.toml](matrix.toml) and the titles of the tests that it names; do not edit.",
    "",
    "real: tested against the peer itself. scripted: against a peer that the test plays, from documentation and captures.",
    "An empty cell: untested. –: the peer has no such thing. The first column leads to a page with both configurations.",
    "",
    `| peer | ${features.join(" | ")} |`,
    `| --- |${" --- |".repeat(features.length)}`,
    ...rows.map((row) => `| [${row.title}](${row.page}) | ${features.map((each) => shown(row[each])).join(" | ")} |`),
    "",
    "[mistakes.md](mistakes.md): what other implementations got wrong, and the tests that this one does not and survives it.",
    "",
    "[ipsec.md](../ipsec.md): IPsec with strongSwan, and WireGuard, between two ends that are Linux or speak IKEv2.",
    "",
  ].join("\n");
}

function shown(cell) {
  return cell === undefined ? "" : KINDS[Object.keys(cell)[0]];
}
