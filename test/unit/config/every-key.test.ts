import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { LCCE_KEYS, SESSION_KEYS, TUNNEL_KEYS } from "../../../src/config/keys.ts";

const text = readFileSync(fileURLToPath(new URL("../../../conf/site.toml", import.meta.url)), "utf8");

/** The lines of the tables whose heads match. */
function linesOf(heads: RegExp): string {
  const tables = text.split(/^(?=\[)/m);
  return tables.filter((table) => heads.test(table)).join("");
}

/** Keys that are set, set in a comment, or named in one ("or secret_file = ..."; "or chap_password_file"). */
function namedIn(lines: string): ReadonlySet<string> {
  return new Set(Array.from(lines.matchAll(/^(?:# )?(\w+) *=|\bor (\w+)/gm), ([, set, other]) => set ?? other ?? ""));
}

describe("conf/site.toml is an example with every key", () => {
  test.each([
    ["lcce", LCCE_KEYS, /^\[lcce\]/],
    ["tunnel", TUNNEL_KEYS, /^\[(?:tunnel\.\w+|template\.\w+)\]/],
    ["session", SESSION_KEYS, /^\[tunnel\.\w+\.session\.\w+\]/],
  ] as const)("%s", (_, keys, heads) => {
    const named = namedIn(linesOf(heads));
    expect(Object.keys(keys).filter((key) => !named.has(key))).toEqual([]);
  });
});
