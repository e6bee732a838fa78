import { describe, expect, test } from "vitest";
import {
  judgeCells,
  namedTests,
  readCells,
  titlesIn,
  writeMatrix,
  writeResults,
} from "../../../scripts/interop-rules.mjs";

const cell = (where: string) => ({ scripted: where });

function matrix(row: Readonly<Record<string, unknown>>) {
  return { features: ["open", "close"], peer: { acme: { title: "Acme", page: "acme.md", make: "Acme", ...row } } };
}

describe("the matrix of peers and features", () => {
  test("names tests by file and a part of the title", () => {
    const { cells, problems } = readCells(matrix({ open: cell("peers/acme: Acme: opens"), close: { none: true } }));
    expect(problems).toEqual([]);
    expect(cells).toEqual([
      {
        peer: "acme",
        make: "Acme",
        feature: "open",
        kind: "scripted",
        file: "test/interop/peers/acme.test.ts",
        title: "Acme: opens",
      },
    ]);
    const there = { file: "test/interop/peers/acme.test.ts", title: "peers > Acme: opens, and more" };
    expect(namedTests(cells, [there])).toEqual([]);
    expect(namedTests(cells, [{ ...there, file: "other" }])).toEqual([
      'acme, open: expected a test of test/interop/peers/acme.test.ts; found none with "Acme: opens"',
    ]);
  });

  test.each([
    [{ opens: cell("a: b") }, 'acme: expected one of the features; found "opens"'],
    [{ open: { maybe: "a: b" } }, 'acme, open: expected real, scripted or none; found {"maybe":"a: b"}'],
    [
      { open: { real: "a: b", none: true } },
      'acme, open: expected real, scripted or none; found {"real":"a: b","none":true}',
    ],
    [{ open: cell("no title") }, 'acme, open: expected "file: part of a title"; found "no title"'],
  ])("%j: %s", (row, problem) => {
    expect(readCells(matrix(row)).problems).toEqual([problem]);
  });

  test("says of each feature how it was tested", () => {
    const page = writeMatrix(matrix({ open: { real: "a: b" } }));
    expect(page).toContain("| peer | open | close |");
    expect(page).toContain("| [Acme](acme.md) | real |  |");
  });

  test("no two peers have the same make", () => {
    const peer = { title: "Acme", page: "acme.md", make: "Acme" };
    expect(readCells({ features: [], peer: { acme: peer, other: peer, third: { title: "", page: "" } } })).toEqual({
      cells: [],
      problems: ["other: expected a make of its own; found that of acme"],
    });
  });
});

/** What is wrong with a cell of `peer` whose title one test has, `whole`. */
function complaintsAbout(peer: string, make: string | undefined, cell: object, whole: string) {
  const row = { title: "", page: "", open: cell, ...(make === undefined ? {} : { make }) };
  const { cells } = readCells({ features: ["open"], peer: { [peer]: row } });
  return namedTests(
    cells,
    cells.map(({ file }) => ({ file, title: whole })),
  );
}

describe("a cell's test is one of that peer", () => {
  const CISCO = "scripted peers over UDP > B134 Cisco, l2tpv3: digest sha1, cookie 4, we opens";

  test.each([
    ["peers/scripted-peers", "Cisco, l2tpv3", CISCO, undefined],
    ["interop/vm-peers", "Cisco, l2tpv3", CISCO, undefined],
    ["peers/scripted-peers", "Yamaha RTX", CISCO, "Yamaha RTX: "],
    ["interop/vm-peers", "Cisco, l2tpv3ietf", CISCO, "Cisco, l2tpv3ietf: "],
    // Elsewhere the name is enough.
    ["peers/restarts", "Cisco, l2tpv3", "a Cisco-like peer > digest sha1", undefined],
    ["peers/restarts", "Yamaha RTX", "a Cisco-like peer > digest sha1", "Yamaha"],
    ["conformance/peers-mistakes", "Yamaha RTX", "peers > a Yamaha's keepalive, digest sha1", undefined],
  ])("scripted, %s, for %s: %s", (file, make, whole, missing) => {
    const found = complaintsAbout("acme", make, { scripted: `${file}: digest sha1` }, whole);
    const words = `acme, open: expected a test with "${missing}" in its title; found "${whole}"`;
    expect(found).toEqual(missing === undefined ? [] : [words]);
  });

  test("scripted, for a peer without a make: none", () => {
    expect(complaintsAbout("linux", undefined, cell("peers/restarts: x"), "x")).toEqual([
      "linux, open: expected the peer to have a make; found none",
    ]);
  });

  test.each([
    ["softether", "interop/softether/softether", "SoftEther VPN Server, UDP > ten sessions"],
    ["softether", "interop/vm-setups", "daemons > SoftEther: ten sessions"],
    ["linux", "interop/vm-daemon", "two daemons > static tunnels, ten sessions"],
    ["own", "interop/two-daemons", "two daemons, userspace > ten sessions"],
  ])("real, %s: %s", (peer, file, whole) => {
    expect(complaintsAbout(peer, undefined, { real: `${file}: ten sessions` }, whole)).toEqual([]);
  });

  test.each([
    ["yamaha", "peers/scripted-peers", CISCO],
    ["cisco", "interop/vm-peers", CISCO],
    ["cisco", "interop/softether/softether", "SoftEther VPN Server, UDP > digest sha1"],
    ["linux", "interop/softether/softether", "SoftEther VPN Server, UDP > digest sha1"],
    ["own", "conformance/5.4.1-message-digest", "two daemons: digest sha1"],
  ])("not real, %s: %s", (peer, file, whole) => {
    expect(complaintsAbout(peer, "Cisco, l2tpv3", { real: `${file}: digest sha1` }, whole)).toEqual([
      expect.stringMatching(`^${peer}, open: expected a file that runs the peer itself; found test/.*, which is none$`),
    ]);
  });

  test("not real: another's test in a file that has several", () => {
    const found = complaintsAbout(
      "softether",
      undefined,
      { real: "interop/vm-setups: ESP" },
      "daemons > WireGuard, ESP",
    );
    expect(found).toEqual([
      'softether, open: expected a test with "SoftEther: " in its title; found "daemons > WireGuard, ESP"',
    ]);
  });
});

describe("what a run has shown of the cells", () => {
  const { cells } = readCells(matrix({ open: cell("a: opens"), close: cell("a: closes") }));
  const outcome = (title: string, status: "passed" | "failed" | "skipped", file = "test/interop/a.test.ts") => {
    return { file, title, status };
  };
  const judge = (...outcomes: readonly ReturnType<typeof outcome>[]) => {
    return judgeCells(cells, outcomes).map(({ feature, status }) => [feature, status]);
  };

  test.each([
    [["passed"], "passed"],
    [["passed", "passed"], "passed"],
    [["failed"], "failed"],
    [["passed", "failed"], "failed"],
    [["skipped", "failed"], "failed"],
    [["skipped"], "skipped"],
    [["passed", "skipped"], "skipped"],
    [[], "missing"],
  ] as const)("%j of its tests: %s", (statuses, expected) => {
    const outcomes = statuses.map((status, index) => outcome(`Acme opens, ${index}`, status));
    expect(judge(outcome("Acme closes", "passed"), ...outcomes)).toEqual([
      ["open", expected],
      ["close", "passed"],
    ]);
  });

  test("a test of another file is none of its tests", () => {
    expect(judge(outcome("opens", "passed", "test/interop/b.test.ts"), outcome("closes", "skipped"))).toEqual([
      ["open", "missing"],
      ["close", "skipped"],
    ]);
  });

  test("the table says it", () => {
    const row = { open: cell("a: opens"), close: { real: "a: closes" } };
    const of = (...outcomes: readonly ReturnType<typeof outcome>[]) => {
      return writeResults(matrix(row), judgeCells(readCells(matrix(row)).cells, outcomes)).split("\n")[2];
    };
    expect(of(outcome("opens", "passed"), outcome("closes", "failed"))).toBe("| Acme | scripted | real FAILED |");
    expect(of(outcome("opens", "skipped"))).toBe("| Acme | scripted (skipped) | real (did not run) |");
  });
});

test("titles in a page", () => {
  expect(titlesIn('| 1 | conformance/4.2-x: "a, %s"; interop/peers/y: "b" | unit/a/b: "c" |')).toEqual([
    { file: "conformance/4.2-x", title: "a, %s" },
    { file: "interop/peers/y", title: "b" },
    { file: "unit/a/b", title: "c" },
  ]);
});
