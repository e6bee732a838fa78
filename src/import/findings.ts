import type { Line } from "./source.ts";

/** What the input says and the result does not. */
export interface Leftover {
  readonly source: string;
  readonly lineNumber: number;
  /** The line, without whatever may be a secret. */
  readonly text: string;
  readonly reason: string;
}

const UNKNOWN = "unknown here";

/** Words that a secret may follow, in router configurations and in scripts. */
const BEFORE_SECRETS =
  /(\b(?:secret|password|passwd|passphrase|key|key-string|keys|psk|pre-shared-key|community|md5|cookie|peer_cookie|auth|auth-trunc|enc|aead)\b|\w+=).*$/i;

/** Cookies and keys, wherever they stand; an id may have as many digits. */
const HEXADECIMAL = /(?<!\b(?:\w*id|tunnel|session|xconnect \S+) )\b(?:0x)?(?:[0-9a-f]{8}|[0-9a-f]{16,})\b/gi;

/** Collects what becomes a comment at the end of the file, and with a warning a line on standard error too. */
export class Findings {
  readonly #leftovers: Leftover[] = [];
  readonly #needless: Leftover[] = [];
  readonly #requests: string[] = [];

  /** A line that nothing is known about. */
  unknown(line: Line, more = ""): void {
    this.left(line, `${UNKNOWN}${more}`);
  }

  /** A line that is understood and has no equivalent. `reason` completes "not taken over: …". */
  left(line: Line, reason: string): void {
    this.#leftovers.push(leftover(line, reason));
  }

  /** A line that nothing has to be done about. */
  needless(line: Line, reason: string): void {
    this.#needless.push(leftover(line, reason));
  }

  /** What somebody has to put into the file before it can work. */
  request(text: string): void {
    this.#requests.push(text);
  }

  get leftovers(): readonly Leftover[] {
    return inOrder(this.#leftovers);
  }

  get dispensable(): readonly Leftover[] {
    return inOrder(this.#needless);
  }

  get requests(): readonly string[] {
    return this.#requests;
  }
}

/** As in the input, whenever it was found. */
function inOrder(leftovers: readonly Leftover[]): readonly Leftover[] {
  return leftovers.toSorted(
    (one, other) => one.source.localeCompare(other.source) || one.lineNumber - other.lineNumber,
  );
}

function leftover({ source, number, text }: Line, reason: string): Leftover {
  return { source, lineNumber: number, text: withoutSecrets(text.trim()), reason: withoutCookies(reason) };
}

/** "FILE:LINE: what stands there: why it is not taken over". */
export function leftoverText({ source, lineNumber, text, reason }: Leftover): string {
  return `${source}:${lineNumber}: ${text}: ${reason}`;
}

function withoutSecrets(text: string): string {
  return text
    .replaceAll(/\s*\n\s*/g, " ")
    .replace(BEFORE_SECRETS, "$1 …")
    .replaceAll(HEXADECIMAL, "…");
}

/** Reasons are the import's own words, with words of the input in them. */
function withoutCookies(reason: string): string {
  return reason.replace(/\b(cookie) \S.*/, "$1 …").replaceAll(HEXADECIMAL, "…");
}

/** A word of the input, for a reason: only one that stands in its line as it is, and that can be no value. */
export function shownWord(word: string, { text }: Line): string {
  const isKeyword = /^[a-z][a-z0-9_-]*$/i.test(word) && !/^[0-9a-f]{8,}$/i.test(word);
  return isKeyword && text.split(/\s+/).includes(word) ? `"${word}"` : "a word";
}
