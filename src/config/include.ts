import { readdirSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";

const WILD = /[*?]/;

/** What one entry of `include` stands for. */
export interface Included {
  /** Absolute paths, sorted. */
  readonly files: readonly string[];
  /** Why it cannot be followed: a sentence's end. */
  readonly flaw?: string;
}

/**
 * The files that a pattern names: "conf.d/*.toml", relative to `directory`. `*` and `?` stand for any characters, or one, of
 * a file's name; a name that begins with a dot has to be asked for with one. Nothing that fits is no flaw, a plain name that
 * is not there is: whoever reads it will say so.
 */
export function filesOf(pattern: string, directory: string): Included {
  const path = resolve(directory, pattern);
  const [folder, name] = [dirname(path), basename(path)];
  if (WILD.test(folder)) return { files: [], flaw: "* and ? may stand in the last part of the path alone" };
  if (!WILD.test(name)) return { files: [path] };
  const fits = expressionOf(name);
  try {
    const names = readdirSync(folder).filter((each) => fits.test(each) && isShown(each, name));
    return { files: inOrder(names.map((each) => join(folder, each)).filter(isFile)) };
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return { files: [] };
    return { files: [], flaw: `cannot be read: ${error instanceof Error ? error.message : String(error)}` };
  }
}

function expressionOf(name: string): RegExp {
  const literal = name.replaceAll(/[.+^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${literal.replaceAll("*", ".*").replaceAll("?", ".")}$`, "su");
}

function isShown(name: string, pattern: string): boolean {
  return !name.startsWith(".") || pattern.startsWith(".");
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

/** By their code points, whatever the machine's language. */
function inOrder(paths: readonly string[]): readonly string[] {
  return paths.toSorted((one, other) => (one < other ? -1 : 1));
}
