import fc from "fast-check";
import { parse } from "smol-toml";
import { describe, expect, test } from "vitest";
import { dotted, findKeyLines } from "../../../src/config/key-lines.ts";

const TOML = `# [not.a.table]
top = "x" # key = 1

[lcce] # [comment]
text = """
[fake]
fake = "1"
""" # fake
quoted."a.b" = 'fake = [' # "
list = [
  "a]", # ] "
  [1, 2],
]
last = { a = 1, b = [ "}" ] }
[[tables]]
x = 1
[tunnel . "my tunnel"]
'peer' = "\\"#"
literal = '''it's
fake2 = 2'''
after.it = 1
[tunnel.'q"q'.session.s]
k=1`;

describe("lines of keys", () => {
  const ROWS: readonly (readonly [path: readonly string[], line: number | undefined])[] = [
    [["top"], 2],
    [["lcce"], 4],
    [["lcce", "text"], 5],
    [["lcce", "quoted", "a.b"], 9],
    [["lcce", "list"], 10],
    [["lcce", "last"], 14],
    [["tables"], 15],
    [["tunnel", "my tunnel"], 17],
    [["tunnel", "my tunnel", "peer"], 18],
    [["tunnel", "my tunnel", "literal"], 19],
    [["tunnel", "my tunnel", "after", "it"], 21],
    [["tunnel", 'q"q', "session", "s", "k"], 23],
    // What is not there: the nearest table around it.
    [["lcce", "fake"], 4],
    [["lcce", "last", "b"], 14],
    [["tunnel", "my tunnel", "fake2"], 17],
    [["fake"], undefined],
    [["not", "a", "table"], undefined],
  ];
  test.each(ROWS)("%j: %o", (path, line) => {
    parse(TOML);
    expect(findKeyLines(TOML).lineOf(path)).toBe(line);
  });

  test("ends for every text, TOML or not", () => {
    const piece = fc.constantFrom(
      "[",
      "]",
      "{",
      "}",
      '"',
      '"""',
      "'",
      "'''",
      "\\",
      "\n",
      "=",
      ".",
      "#",
      "a",
      " ",
      "\r\n",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
        expect(findKeyLines(pieces.join("")).lineOf([])).toBeUndefined();
      }),
    );
  });

  test("finds each key of a text that it knows the lines of", () => {
    const key = fc.oneof(fc.stringMatching(/^[A-Za-z0-9_-]{1,8}$/), fc.string({ minLength: 1, maxLength: 6 }));
    const value = fc.constantFrom("1", '"#"', "'['", '[ 1,\n"]" ]', '"""\n[x]\n"""', "{ a = 1 } # x", "'''\n\n'''");
    const entries = fc.uniqueArray(fc.tuple(key, value), { maxLength: 12, selector: ([name]) => name });
    fc.assert(
      fc.property(entries, (all) => {
        let text = "[table]\n";
        const lines = all.map(([name, written]) => {
          const line = text.split("\n").length;
          text += `${dotted([name])} = ${written}\n`;
          return line;
        });
        const found = findKeyLines(text);
        expect(all.map(([name]) => found.lineOf(["table", name]))).toEqual(lines);
      }),
    );
  });
});
