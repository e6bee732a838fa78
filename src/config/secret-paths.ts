import { dirname, resolve } from "node:path";
import { parse } from "smol-toml";
import { isTable } from "./schema.ts";
import { readSiteFile } from "./site-file.ts";

const KEYS = ["secret_file", "secret_previous_file", "chap_password_file"];

/** Absolute paths of the files that a configuration names for secrets, each once; none where it cannot be read. */
export function listSecretFiles(path: string): string[] {
  try {
    const document = parse(readSiteFile(path).text.replace(/^\ufeff/, ""));
    const tables = [document["template"], document["tunnel"]].flatMap((each) =>
      isTable(each) ? Object.values(each) : [],
    );
    const files = tables.flatMap((table) => (isTable(table) ? KEYS.map((key) => table[key]) : []));
    const named = files.filter((file) => typeof file === "string");
    return [...new Set(named.map((file) => resolve(dirname(path), file)))];
  } catch {
    // Whatever is wrong with the file is told by who loads it.
    return [];
  }
}
