import type { Problems } from "./problems.ts";
import { isTable } from "./schema.ts";
import { exposureOf } from "./secret-file.ts";

const TABLES = ["template", "tunnel"] as const;
const KEYS = ["secret", "secret_previous"] as const;

/** A file with secrets of its own has to be as closed as a secret file. `mode`: its permission bits. */
export function checkInlineSecrets(document: unknown, file: string, mode: number, problems: Problems): void {
  const exposure = exposureOf(file, mode);
  if (exposure === undefined) return;
  for (const path of findInlineSecrets(document)) {
    if (exposure.refused) problems.error(path, exposure.text);
    else problems.warning(path, exposure.text);
  }
}

/** The empty one is none. */
function findInlineSecrets(document: unknown): string[][] {
  const top = isTable(document) ? document : {};
  return TABLES.flatMap((kind) => {
    const named = top[kind];
    if (!isTable(named)) return [];
    return Object.entries(named).flatMap(([name, table]) =>
      KEYS.filter((key) => isTable(table) && typeof table[key] === "string" && table[key] !== "").map((key) => [
        kind,
        name,
        key,
      ]),
    );
  });
}
