import type { Findings } from "./findings.ts";
import { ImportError } from "./import-error.ts";
import { type Shown, takeShown } from "./ip-show.ts";
import type { IpState } from "./ip-state.ts";
import type { Line, Source } from "./source.ts";

/** What `ip -json l2tp show tunnel` and `… show session` print, one after the other. Throws an `ImportError`. */
export function readIpJson(source: Source, state: IpState, findings: Findings): void {
  for (const { shown, line } of objectsOf(source)) takeShown(shown, line, state, findings);
}

function objectsOf(source: Source): readonly { readonly shown: Shown; readonly line: Line }[] {
  return valuesOf(source).flatMap(({ json, number: at }) => {
    const value = parse(json, `${source.name}:${at}`);
    const list: readonly unknown[] = Array.isArray(value) ? value : [value];
    return list
      .filter((each) => typeof each === "object" && each !== null)
      .map((each) => {
        const shown: Shown = { ...each };
        return { shown, line: { source: source.name, number: at, text: identify(shown) } };
      })
      .filter(({ shown }) => Object.keys(shown).length > 0);
  });
}

/** "session 20 in tunnel 2000": a line of JSON would hold everything. */
function identify(shown: Shown): string {
  const session = shown["session_id"] === undefined ? "" : `session ${shown["session_id"]} in `;
  return `${session}tunnel ${shown["tunnel_id"]}`;
}

function parse(json: string, place: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    // Not the error itself: it quotes the text, cookies included.
    throw new ImportError(`${place}: no valid JSON`);
  }
}

/** Several values may stand one after the other, and several to a line. */
function valuesOf({ text: whole }: Source): readonly { readonly json: string; readonly number: number }[] {
  const values: { json: string; number: number }[] = [];
  let depth = 0;
  let start = 0;
  // Strings are one token, so that brackets in them do not count.
  for (const { 0: token, index } of whole.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/g)) {
    if (token === "[" || token === "{") depth += 1;
    if (token === "]" || token === "}") depth -= 1;
    if (depth > 0 || token.startsWith('"')) continue;
    values.push({ json: whole.slice(start, index + 1), number: lineNumber(whole, start) });
    start = index + 1;
  }
  if (whole.slice(start).trim() !== "") values.push({ json: whole.slice(start), number: lineNumber(whole, start) });
  return values;
}

function lineNumber(whole: string, offset: number): number {
  const first = offset + (/^\s*/.exec(whole.slice(offset))?.[0].length ?? 0);
  return whole.slice(0, first).split("\n").length;
}
