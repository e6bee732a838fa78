import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { parseSite } from "../../../src/config/load.ts";

const folder = fileURLToPath(new URL("../../../docs/interop/", import.meta.url));
const pages = readdirSync(folder).filter((name) => name.endsWith(".md"));

/** The configurations for this end that the pages show, with the page's name and a number. */
const SNIPPETS = pages.flatMap((page) => {
  const blocks = readFileSync(`${folder}${page}`, "utf8").matchAll(/^```toml\n([\s\S]*?)^```$/gm);
  return Array.from(blocks, ([, toml = ""], index) => [page, index + 1, toml] as const);
});

describe("docs/interop", () => {
  test.each(SNIPPETS)("%s, configuration %i is good, and gives no warning", (_, __, toml) => {
    const site = parseSite(toml, "site.toml");
    expect(site.warnings).toEqual([]);
    expect(site.tunnels.length).toBeGreaterThan(0);
    expect(site.tunnels.every(({ sessions }) => sessions.length > 0)).toBe(true);
  });

  test("every page for a peer shows one", () => {
    const shown = new Set(SNIPPETS.map(([page]) => page));
    const others = ["README.md", "mistakes.md"];
    expect(pages.filter((page) => !shown.has(page) && !others.includes(page))).toEqual([]);
    expect(shown.size).toBeGreaterThanOrEqual(6);
  });

  test.each(pages)("the links of %s lead somewhere", (page) => {
    const links = readFileSync(`${folder}${page}`, "utf8").matchAll(/\]\(([^)#:]+)\)/g);
    for (const [, target = ""] of links) expect(existsSync(`${folder}${target}`), target).toBe(true);
  });
});
