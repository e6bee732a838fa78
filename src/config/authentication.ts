import { resolve } from "node:path";
import type { AuthenticationConfiguration } from "../control/configuration.ts";
import { placeOf } from "./contradictions.ts";
import type { TunnelValues } from "./keys.ts";
import type { Problems } from "./problems.ts";
import { readSecretFile } from "./secret-file.ts";
import type { TunnelTable } from "./tables.ts";

/** A secret and where the file gives it. */
interface FoundSecret {
  readonly place: readonly string[];
  /** `undefined`: it cannot be had, which has been reported. */
  readonly octets: Uint8Array | undefined;
}

/** Of the file that has this key: where relative paths begin. */
export type DirectoryOf = (place: readonly string[]) => string;

/** Secrets, digest, hiding and CHAP password of a tunnel. */
export function buildAuthentication(
  table: TunnelTable,
  values: TunnelValues,
  directoryOf: DirectoryOf,
  problems: Problems,
): AuthenticationConfiguration {
  const secret = findSecret(table, "secret", directoryOf, problems);
  const previous = findSecret(table, "secret_previous", directoryOf, problems);
  if (secret !== undefined) checkUse(table, values, secret, problems);
  else if (!table.wrong.has("secret") && !table.wrong.has("secret_file")) {
    checkAbsence(table, values, previous, problems);
  }
  const chapPassword = findSecret(table, "chap_password", directoryOf, problems);
  if (chapPassword !== undefined) checkPassword(chapPassword, problems);
  if (previous !== undefined) checkPrevious(previous, secret, problems);
  return {
    secrets: distinct([secret, previous]),
    // RFC 3931 4.1.1.2: IP has no checksum, so the digest is to be there in any case.
    digest: values.digest ?? (secret === undefined && values.encapsulation === "udp" ? "none" : "md5"),
    hidden: values.hidden,
    chapPassword: chapPassword?.octets,
  };
}

/** The nearest table with either of the two keys decides: a tunnel's secret goes before its template's secret_file. */
function findSecret(
  table: TunnelTable,
  key: "secret" | "secret_previous" | "chap_password",
  directoryOf: DirectoryOf,
  problems: Problems,
): FoundSecret | undefined {
  const fileKey = `${key}_file` as const;
  for (const { path, given } of table.layers.toReversed()) {
    const { [key]: text, [fileKey]: file } = given;
    const place = [...path, file === undefined ? key : fileKey];
    if (text !== undefined && file !== undefined) {
      problems.error(place, `${key} and ${fileKey} exclude each other, allowed: one of them`);
      return { place, octets: undefined };
    }
    if (text !== undefined) return { place, octets: new TextEncoder().encode(text) };
    if (file !== undefined) return { place, octets: readFrom(resolve(directoryOf(place), file), place, problems) };
  }
  return undefined;
}

function readFrom(path: string, place: readonly string[], problems: Problems): Uint8Array | undefined {
  const file = readSecretFile(path);
  if (typeof file === "string") {
    problems.error(place, file);
    return undefined;
  }
  for (const warning of file.warnings) problems.warning(place, warning);
  return file.octets;
}

function checkUse(table: TunnelTable, values: TunnelValues, secret: FoundSecret, problems: Problems): void {
  if (values.digest === "none") {
    problems.error(
      placeOf(table, "digest"),
      'found "none", which would leave the secret unused, allowed with a secret: "md5" or "sha1"',
    );
  }
  if (values.hidden && secret.octets?.length === 0) {
    problems.warning(placeOf(table, "hidden"), "with the empty secret anybody can read what is hidden");
  }
}

/** `previous`: the secret that has nothing to be previous to. */
function checkAbsence(
  table: TunnelTable,
  values: TunnelValues,
  previous: FoundSecret | undefined,
  problems: Problems,
): void {
  if (values.hidden) problems.error(placeOf(table, "hidden"), "hiding needs secret or secret_file");
  if (previous !== undefined) problems.error(previous.place, "a previous secret needs secret or secret_file beside it");
}

function checkPrevious({ place, octets }: FoundSecret, secret: FoundSecret | undefined, problems: Problems): void {
  // Hardly ever meant: to clear a key is not to leave it out.
  if (octets?.length === 0) problems.error(place, "the empty secret would let everybody in: leave the key out");
  else if (same(octets, secret?.octets)) problems.warning(place, "the same as the secret itself: it does nothing");
}

function checkPassword({ place, octets }: FoundSecret, problems: Problems): void {
  if (octets?.length === 0) problems.error(place, "the empty password would prove nothing: leave the key out");
}

function distinct(found: readonly (FoundSecret | undefined)[]): readonly Uint8Array[] {
  const secrets = found.flatMap((each) => each?.octets ?? []);
  return secrets.filter((octets, index) => !secrets.slice(0, index).some((earlier) => same(earlier, octets)));
}

function same(one: Uint8Array | undefined, other: Uint8Array | undefined): boolean {
  return one !== undefined && other !== undefined && Buffer.compare(one, other) === 0;
}
