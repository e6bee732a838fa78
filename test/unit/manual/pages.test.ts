import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { COMMAND_WORDS, OPTION_NAMES } from "../../../src/cli/command-table.ts";
import { HOOK_KEYS, LCCE_KEYS, SESSION_KEYS, TUNNEL_KEYS } from "../../../src/config/keys.ts";
import { manualPages } from "../../../src/manual/pages.ts";
import { entry, escaped, example, paragraphs } from "../../../src/manual/roff.ts";

const top = fileURLToPath(new URL("../../../", import.meta.url));
const read = (name: string) => readFileSync(`${top}${name}`, "utf8");
const schema = JSON.parse(read("docs/show.schema.json"));
const pages = manualPages(JSON.parse(read("package.json")).version, schema);

describe("the manual", () => {
  test("is up to date: where this fails, npm run man", () => {
    expect(readdirSync(`${top}man`).sort()).toEqual([...pages.keys()].sort());
    for (const [name, text] of pages) expect(read(`man/${name}`), name).toBe(text);
  });

  test("is installed with the package", () => {
    const { man, files } = JSON.parse(read("package.json"));
    expect([...man].sort()).toEqual([...pages.keys()].sort().map((name) => `man/${name}`));
    expect(files).toContain("man");
  });

  test.each([...pages])("%s is ASCII, and no text of it is a request by accident", (_, text) => {
    expect(text).toMatch(/^[\n\x20-\x7e]*$/);
    const requests = new Set(text.match(/^\.\S*/gm));
    const known = ['.\\"', ".TH", ".SH", ".SS", ".PP", ".TP", ".TQ", ".IP", ".BR", ".br", ".RS", ".RE", ".nf", ".fi"];
    expect([...requests].filter((request) => !known.includes(request))).toEqual([]);
    expect(text).not.toMatch(/^'/m);
  });

  test("every command and option, every key, and every key of show --json is in it", () => {
    const program = pages.get("l2tpv3-lcc.8") ?? "";
    const words = COMMAND_WORDS.filter((word) => !new RegExp(`^\\\\fBl2tpv3\\\\-lcc ${word}\\b`, "m").test(program));
    expect(words).toEqual([]);
    expect(OPTION_NAMES.filter((name) => !program.includes(`\\-\\-${escaped(name)}`))).toEqual([]);
    const configuration = pages.get("l2tpv3-lcc.toml.5") ?? "";
    const tables = [LCCE_KEYS, HOOK_KEYS, TUNNEL_KEYS, TUNNEL_KEYS.retransmit.keys, SESSION_KEYS];
    const keys = tables.flatMap((table) => Object.keys(table));
    expect(keys.filter((name) => !termOf(name).test(configuration))).toEqual([]);
    const show = pages.get("l2tpv3-lcc-show.8") ?? "";
    expect(show).toContain("\\fBtunnels[].sessions[].counters.cookie_discards\\fR \\fIinteger\\fR");
    expect(show).toContain('\\fBtunnels[].sessions[].configured.mtu\\fR \\fIinteger or "auto"\\fR');
    expect(show).toContain("\\fBtunnels[].window.next_ns\\fR");
  });
});

/** A term of its own, or the heading of an inline table. */
function termOf(name: string): RegExp {
  return new RegExp(`^(\\.SS The inline table |\\\\fB)${escaped(name).replaceAll("\\", "\\\\")}(\\\\fR)?$`, "m");
}

test("nothing in a text means anything to roff", () => {
  expect(paragraphs("a-b 'c' \\d … x.toml; e. F")).toEqual([".PP", "a\\-b \\(aqc\\(aq \\ed ... x.toml; e.", "F"]);
  expect(entry("t", ".hidden text. Two")).toEqual([".TP", "t", "\\&.hidden text.", "Two"]);
  expect(example(".a\n\n'b\n")).toEqual([".PP", ".RS 4", ".nf", "\\&.a", "", "\\(aqb", ".fi", ".RE"]);
});
