import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";

/** Octets: far more than any digest takes in, far less than a file that was named by mistake. */
export const LONGEST_SECRET = 1024;

export interface SecretFile {
  readonly octets: Uint8Array;
  /** What works but is hardly meant. */
  readonly warnings: readonly string[];
}

/** Any right of users who are neither the owner nor in the group. */
const FOR_OTHERS = 0o007;
const FOR_GROUP = 0o060;

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/**
 * Where systemd puts credentials (systemd.exec(5), LoadCredential=), for the service alone. It lets the service's user read
 * them by an access control list, of which the group's permission bits show the mask.
 */
const CREDENTIALS = "/run/credentials/";

/** What is wrong with the rights to a file that holds a secret; `undefined`: nothing. `mode`: its permission bits. */
export function exposureOf(
  path: string,
  mode: number,
): { readonly refused: boolean; readonly text: string } | undefined {
  const shown = JSON.stringify(path);
  const octal = (mode & 0o7777).toString(8).padStart(4, "0");
  if ((mode & FOR_OTHERS) !== 0) {
    return { refused: true, text: `${shown} is open to other users (mode ${octal}): chmod 600 ${shown}` };
  }
  if ((mode & FOR_GROUP) === 0 || path.startsWith(CREDENTIALS)) return undefined;
  return { refused: false, text: `${shown} is open to its group (mode ${octal}); chmod 600 keeps it to its owner` };
}

/**
 * The octets of a file, which need not be text, without one final newline; or a sentence that says what is wrong, and
 * quotes nothing of it. A file that others may open is refused. One that its group may read is the usual way to give a
 * secret to a daemon that is not root and shall not own it: that is let through, but said, since a group may be wider
 * than it looks.
 */
export function readSecretFile(path: string): SecretFile | string {
  try {
    // Not to wait for a writer, should this be a FIFO.
    const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      return readOpened(path, descriptor);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    return `cannot be read: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function readOpened(path: string, descriptor: number): SecretFile | string {
  const shown = JSON.stringify(path);
  const status = fstatSync(descriptor);
  if (!status.isFile()) return `${shown} is no regular file`;
  const exposure = exposureOf(path, status.mode);
  if (exposure?.refused === true) return exposure.text;
  const octets = withoutNewline(readAtMost(descriptor, LONGEST_SECRET + 2));
  if (octets.length === 0) return `${shown} is empty`;
  if (octets.length > LONGEST_SECRET) return `${shown} is too long, allowed: 1 to ${LONGEST_SECRET} octets`;
  const warnings = exposure === undefined ? [] : [exposure.text];
  if (octets.at(-1) === CARRIAGE_RETURN) {
    warnings.push(`${shown} ends in a carriage return, which is taken as part of the secret`);
  }
  return { octets, warnings };
}

function readAtMost(descriptor: number, limit: number): Uint8Array {
  const octets = new Uint8Array(limit);
  let length = 0;
  while (length < limit) {
    const count = readSync(descriptor, octets, length, limit - length, null);
    if (count === 0) break;
    length += count;
  }
  return octets.slice(0, length);
}

function withoutNewline(octets: Uint8Array): Uint8Array {
  return octets.at(-1) === NEWLINE ? octets.slice(0, -1) : octets;
}
