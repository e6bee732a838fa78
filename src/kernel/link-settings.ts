import type { SessionRequest } from "./datapath.ts";
import type { LinkAnswer, LinkCall } from "./links.ts";
import { linkRefusal, type Refusal } from "./refusals.ts";

/** The part of the kernel that makes and changes devices; see `KernelCalls`. */
export interface LinkCalls {
  links(calls: readonly LinkCall[]): readonly LinkAnswer[];
}

/** Something that the device `name` gets for a session. */
export interface Setting {
  readonly session: SessionRequest;
  readonly name: string;
  readonly call: LinkCall;
}

const NOT_ANSWERED: LinkAnswer = { errno: "EIO", extendedAck: "", link: undefined };

/** In their order, together. Of each session that has a refusal the first. */
export function applySettings(calls: LinkCalls, settings: readonly Setting[]): Map<SessionRequest, Refusal> {
  const refused = new Map<SessionRequest, Refusal>();
  const answers = calls.links(settings.map(({ call }) => call));
  for (const [i, { session, name, call }] of settings.entries()) {
    // Who has not got the protocol is quiet.
    if ("quiet" in call && answers[i]?.errno === "EAFNOSUPPORT") continue;
    const refusal = settingOutcome(name, call, answers[i], session.bridge ?? "");
    if (refusal !== undefined && !refused.has(session)) refused.set(session, refusal);
  }
  return refused;
}

/** `undefined`: done. */
export function settingOutcome(
  name: string,
  call: LinkCall,
  answer: LinkAnswer = NOT_ANSWERED,
  bridge = "",
): Refusal | undefined {
  const { errno, extendedAck } = answer;
  return errno === "" ? undefined : linkRefusal(name, call, { errno, extendedAck }, bridge);
}

export function lookUpNames(calls: LinkCalls, names: ReadonlySet<string>): ReadonlyMap<string, LinkAnswer> {
  const wanted = [...names];
  const answers = calls.links(wanted.map((name) => ({ command: "RTM_GETLINK", name })));
  return new Map(answers.map((answer, i) => [wanted[i] ?? "", answer]));
}
