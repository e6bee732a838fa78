/** What type 7 is XORed with, a public constant of IOS; the first two digits say where in it to begin. */
const KEY = new TextEncoder().encode("dsfd;kfoA,.iyewrkldJKDHSUBsgvca69834ncxv9873254k;fg87");

/** The text of a type 7 password ("0822455D0A16" is "cisco"), which hides it from a glance and no more; else `undefined`. */
export function decodeType7(encoded: string): string | undefined {
  const match = /^(\d\d)((?:[0-9a-f]{2})+)$/i.exec(encoded);
  if (match === null) return undefined;
  const [, start = "", digits = ""] = match;
  const octets = Uint8Array.from(
    digits.match(/../g) ?? [],
    (pair, index) => Number.parseInt(pair, 16) ^ (KEY[(Number(start) + index) % KEY.length] ?? 0),
  );
  const text = new TextDecoder().decode(octets);
  return /[\p{Cc}\ufffd]/u.test(text) ? undefined : text;
}

/** A secret as a configuration has it: its text, or the encryption that keeps it. */
export type Password = { readonly text: string } | { readonly sealed: string };

/** `type`: the number before it, "" where there is none, which is plain text as 0 is. */
export function readPassword(type: string, text: string): Password {
  if (type === "" || type === "0") return { text };
  const decoded = type === "7" ? decodeType7(text) : undefined;
  return decoded === undefined ? { sealed: `encryption type ${type}` } : { text: decoded };
}
