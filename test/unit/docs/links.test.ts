import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const pages = [
  "README.md",
  ...["docs", "conf/examples"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((name) => `${folder}/${name}`),
  ),
].filter((path) => path.endsWith(".md") && !path.startsWith("docs/interop/"));

test.each(pages)("the links of %s lead somewhere", (page) => {
  const links = readFileSync(join(root, page), "utf8").matchAll(/\]\(([^)#:]+)\)/g);
  for (const [, target = ""] of links) expect(existsSync(join(root, dirname(page), target)), target).toBe(true);
});

test("every setup of conf/examples is named by README.md or docs/ipsec.md", () => {
  const text = ["README.md", "docs/ipsec.md"].map((page) => readFileSync(join(root, page), "utf8")).join("\n");
  const setups = readdirSync(join(root, "conf/examples"), { withFileTypes: true }).filter((entry) =>
    entry.isDirectory(),
  );
  for (const { name } of setups) expect(text).toContain(name);
});
