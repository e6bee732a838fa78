import { exposureOf } from "../config/secret-file.ts";
import { type Finding, finding, ok } from "./finding.ts";

export interface FileFacts {
  /** Problems of the configuration file, a line each; `undefined`: none was named. */
  readonly configuration: { readonly path: string; readonly problems: readonly string[] } | undefined;
  readonly warnings: readonly string[];
  /** Files with secrets, by path: permission bits, or why they cannot be looked at. */
  readonly secrets: ReadonlyMap<string, number | string>;
}

/** The configuration, and who may read the secrets. Never what is in them. */
export function checkFiles({ configuration, warnings, secrets }: FileFacts): Finding[] {
  const findings = configuration === undefined ? [] : checkConfiguration(configuration, warnings);
  for (const [path, mode] of secrets) findings.push(checkSecret(path, mode));
  return findings;
}

function checkConfiguration(
  { path, problems }: { readonly path: string; readonly problems: readonly string[] },
  warnings: readonly string[],
): Finding[] {
  const check = "configuration";
  if (problems.length > 0) {
    return problems.map((problem) => finding(check, "error", problem, "mend the file; what follows asks of defaults"));
  }
  const good = ok(check, `${path} is good`);
  return [
    good,
    ...warnings.map((warning) => finding(check, "warning", warning, "mend the file if that was not meant")),
  ];
}

function checkSecret(path: string, mode: number | string): Finding {
  const check = `secret file ${path}`;
  if (typeof mode === "string") return finding(check, "error", mode, "write the secret into it, with chmod 600");
  const exposure = exposureOf(path, mode);
  if (exposure === undefined) return ok(check, `mode ${(mode & 0o7777).toString(8).padStart(4, "0")}`);
  return finding(check, exposure.refused ? "error" : "warning", exposure.text, "chmod 600, and change what was open");
}
