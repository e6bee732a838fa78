import { isUtf8 } from "node:buffer";
import { closeSync, fstatSync, openSync, readFileSync } from "node:fs";
import { ConfigError } from "./config-error.ts";

export interface SiteFile {
  readonly text: string;
  /** Permission bits. */
  readonly mode: number;
}

/** The text of a configuration file. Throws a `ConfigError` where it cannot be read or is not UTF-8, as TOML has to be. */
export function readSiteFile(path: string): SiteFile {
  const { octets, mode } = readOctets(path);
  if (isUtf8(octets)) return { text: octets.toString("utf8"), mode };
  const offset = firstNonUtf8(octets);
  const found = `0x${(octets[offset] ?? 0).toString(16).padStart(2, "0")}`;
  const text = `not UTF-8: found the octet ${found} at offset ${offset}`;
  throw new ConfigError(path, [{ line: lineAt(octets, offset), column: undefined, key: "", text }]);
}

function readOctets(path: string): { readonly octets: Buffer; readonly mode: number } {
  try {
    const descriptor = openSync(path, "r");
    try {
      return { octets: readFileSync(descriptor), mode: fstatSync(descriptor).mode & 0o7777 };
    } finally {
      closeSync(descriptor);
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigError(path, [{ line: undefined, column: undefined, key: "", text: `cannot be read: ${reason}` }], {
      cause,
    });
  }
}

/** What decoding replaces begins where the text first has a replacement character that the octets have not. */
function firstNonUtf8(octets: Buffer): number {
  const text = octets.toString("utf8");
  let offset = 0;
  let from = 0;
  for (;;) {
    const at = text.indexOf("\ufffd", from);
    offset += Buffer.byteLength(text.slice(from, at));
    if (octets.toString("hex", offset, offset + 3) !== "efbfbd") return offset;
    offset += 3;
    from = at + 1;
  }
}

function lineAt(octets: Buffer, offset: number): number {
  let line = 1;
  for (const octet of octets.subarray(0, offset)) if (octet === 0x0a) line++;
  return line;
}
