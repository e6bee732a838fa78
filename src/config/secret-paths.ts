import { dirname, resolve } from "node:path";
import { isTable } from "./schema.ts";
import { readSiteFile } from "./site-file.ts";
import { readParts } from "./site-parts.ts";

const KEYS = ["secret_file", "secret_previous_file", "chap_password_file"];

/** Absolute paths of the files that a configuration names for secrets, each once; none where it cannot be read. */
export function listSecretFiles(path: string): string[] {
  try {
    const { text, mode } = readSiteFile(path);
    const { parts } = readParts(text, path, mode);
    return [...new Set(parts.flatMap(({ document, file }) => secretFilesOf(document, dirname(file))))];
  } catch {
    // Whatever is wrong with the file is told by who loads it.
    return [];
  }
}

function secretFilesOf(document: Readonly<Record<string, unknown>>, directory: string): readonly string[] {
  const tables = [document["template"], document["tunnel"]].flatMap((each) =>
    isTable(each) ? Object.values(each) : [],
  );
  const files = tables.flatMap((table) => (isTable(table) ? KEYS.map((key) => table[key]) : []));
  return files.filter((file) => typeof file === "string").map((file) => resolve(directory, file));
}
