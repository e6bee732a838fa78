import type { SESSION_KEYS, TUNNEL_KEYS } from "../config/keys.ts";

export type Value = string | number | boolean | readonly string[] | Readonly<Record<string, string | number>>;

/** One key of the file to be. */
export interface Entry<K extends string = string> {
  readonly key: K;
  readonly value: Value;
  /** What had to be guessed, or is to be looked at. */
  readonly note: string;
  /** Written as a comment: the value is not known. */
  readonly missing: boolean;
}

export type TunnelEntry = Entry<keyof typeof TUNNEL_KEYS>;
export type SessionEntry = Entry<keyof typeof SESSION_KEYS>;

export interface DraftSession {
  readonly name: string;
  /** Sentences above the table. */
  readonly notes: readonly string[];
  readonly entries: readonly SessionEntry[];
}

export interface DraftTunnel {
  readonly name: string;
  readonly notes: readonly string[];
  readonly entries: readonly TunnelEntry[];
  readonly sessions: readonly DraftSession[];
}

/** A site.toml before it is text. */
export interface Draft {
  readonly listen: readonly string[];
  readonly tunnels: readonly DraftTunnel[];
}

/** An entry, or none where there is no value. */
export function entry<K extends string>(key: K, value: Value | undefined, note = ""): readonly Entry<K>[] {
  return value === undefined ? [] : [{ key, value, note, missing: false }];
}

/** A key whose value somebody has to fill in; `example` shows its form. */
export function missing<K extends string>(key: K, example: Value, note: string): readonly Entry<K>[] {
  return [{ key, value: example, note, missing: true }];
}

const CONFIDENTIAL = ["secret", "secret_previous", "chap_password", "local_cookie", "remote_cookie"];

/** Whether the file is for its owner's eyes alone. */
export function holdsSecrets({ tunnels }: Draft): boolean {
  const entries: readonly Entry[] = tunnels.flatMap((tunnel) => [
    ...tunnel.entries,
    ...tunnel.sessions.flatMap((session) => session.entries),
  ]);
  return entries.some((each) => !each.missing && CONFIDENTIAL.includes(each.key));
}

/** Names of tables: letters, digits, hyphens and underscores, and never the same twice, whatever the case. */
export class Names {
  readonly #taken = new Set<string>();

  take(wanted: string): string {
    const plain =
      wanted
        .replaceAll(/[^A-Za-z0-9_-]+/g, "-")
        .slice(0, 56)
        .replaceAll(/^-+|-+$/g, "") || "unnamed";
    let name = plain;
    for (let number = 2; this.#taken.has(name.toLowerCase()); number++) name = `${plain}-${number}`;
    this.#taken.add(name.toLowerCase());
    return name;
  }
}
