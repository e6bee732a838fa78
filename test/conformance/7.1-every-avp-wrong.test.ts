import { describe, expect, test } from "vitest";
import type { AvpDefinition } from "../../src/avp/definition.ts";
import { titleOf } from "../../src/avp/describe.ts";
import { FormatFailure } from "../../src/avp/format.ts";
import { avpsOf, isEnvelope, MESSAGES, type MessageName } from "../../src/avp/messages.ts";
import { REGISTERED_AVPS, type RegisteredAvp } from "../../src/avp/registry.ts";
import { type Outcome, outcomeOf, SITUATIONS, type SituationName } from "../support/received-messages.ts";
import { avp, hexOf } from "../support/wire.ts";

/**
 * Every AVP of the registry, in every message that a peer may send, wrong in every way, with and without M. Which lengths
 * and values are legal, 5.4-avps.test.ts says; here it is what follows from an illegal one. A new AVP needs no line here.
 */

const MESSAGES_TO_US = Object.keys(SITUATIONS) as SituationName[];

function decodes({ format }: AvpDefinition, octets: Uint8Array): "legal" | FormatFailure["reason"] {
  const value = format.decode(octets, 0, octets.length);
  return value instanceof FormatFailure ? value.reason : "legal";
}

/** Values to choose from: 0 to 40 octets, all of one kind, or a small number. */
const CANDIDATES = Array.from({ length: 41 }, (_, length) => [
  ...[0x00, 0x01, 0xff].map((fill) => new Uint8Array(length).fill(fill)),
  new Uint8Array(length).fill(2, length - 1),
]).flat();

/** The shortest and the longest of the candidates that are such for this AVP, in hex. */
function valuesThatAre(kind: ReturnType<typeof decodes>, definition: AvpDefinition): readonly string[] {
  const fitting = CANDIDATES.filter((octets) => decodes(definition, octets) === kind);
  const sorted = fitting.toSorted((a, b) => a.length - b.length);
  const ends = [sorted.at(0), sorted.at(-1)].flatMap((octets) => (octets === undefined ? [] : [hexOf(octets)]));
  return [...new Set(ends)];
}

/** Never defined; registered, and read by nobody here; of another vendor. */
const UNKNOWN = [
  [0, 900],
  [0, 67],
  [0, 49],
  [0, 93],
  [4711, 1],
  [9, 900],
] as const;

interface Case {
  readonly entry: RegisteredAvp;
  readonly value: string;
  readonly hidden?: boolean;
  /** What the length field says, if not the truth. */
  readonly length?: number;
}

function written({ entry, value, ...options }: Case, mandatory: boolean): string {
  const { vendorId, type } = entry.definition;
  return avp(type, value, { vendorId, mandatory, ...options });
}

/** Digests are verified before any AVP is read, so a wrong one drops the message: tests of 5.4.1 have them. */
const judged = REGISTERED_AVPS.filter(({ name, origin }) => origin !== "ietf" || name !== "messageDigest");
const names = (name: SituationName): readonly string[] => avpsOf(name);
const isListed = (name: SituationName) => (entry: RegisteredAvp) =>
  entry.origin === "ietf" && names(name).includes(entry.name);
/** Judged wherever they stand: those of the message, and Random Vector, which may stand in any. */
const belongs = (name: SituationName) => (entry: RegisteredAvp) =>
  isListed(name)(entry) || (entry.origin === "ietf" && isEnvelope(entry.name));

function malformed(name: SituationName, kind: "wrong-length" | "value-out-of-range"): readonly Case[] {
  return judged
    .filter(belongs(name))
    .flatMap((entry) => valuesThatAre(kind, entry.definition).map((value) => ({ entry, value })));
}

/** Nothing is hidden between ends that share no secret, whether or not it may be hidden at all (RFC 3931 5.3). */
function hiddenOnes(name: SituationName): readonly Case[] {
  return judged.filter(belongs(name)).map((entry) => ({ entry, value: "00".repeat(8), hidden: true }));
}

function overrunning(name: SituationName): readonly Case[] {
  return judged
    .filter(belongs(name))
    .flatMap((entry) => [5, 9, 0x3ff].map((length) => ({ entry, value: "0000", length })));
}

/** The id by which an ICRP or OCRP finds its call: without it a CDN ends the peer's session, and ours waits on. */
function cannotBeAttributed(name: SituationName, { entry }: Case): boolean {
  return (name === "ICRP" || name === "OCRP") && entry.name === "remoteSessionId";
}

const OURS_WAITS = { heard: ["CDN"], result: { result: 2 }, session: "wait-reply", tunnel: "established" };

function describeCase({ entry, value, hidden = false, length = 6 + value.length / 2 }: Case): string {
  const { vendorId, type } = entry.definition;
  return `${entry.name} (${vendorId}/${type})${hidden ? " hidden" : ""}, length ${length}, value ${value}`;
}

const UNTOUCHED: ReadonlyMap<SituationName, Outcome> = new Map(MESSAGES_TO_US.map((name) => [name, outcomeOf(name)]));

function untouched(name: SituationName): Outcome {
  return UNTOUCHED.get(name) as Outcome;
}

/** The message has its refusal: result 2, this error, and a text that names the AVP. */
function expectRefusal(name: SituationName, outcome: Outcome, error: number, words: string, note: string): void {
  const { refusal } = SITUATIONS[name];
  expect(outcome.result, note).toMatchObject({ result: 2, error, message: expect.stringContaining(words) });
  expect(outcome.heard, note).toEqual([refusal]);
  const tunnel = refusal === "StopCCN" ? "idle" : "established";
  expect(outcome, note).toMatchObject({ tunnel, session: "idle", raised: 0, internalErrors: [] });
}

function refusedWithM(name: SituationName, cases: readonly Case[], error: number): void {
  expect(cases.length).toBeGreaterThan(0);
  for (const each of cases) {
    const { vendorId, type } = each.entry.definition;
    const outcome = outcomeOf(name, { without: [type], more: written(each, true) });
    const note = describeCase(each);
    if (SITUATIONS[name].refusal === "none") expect(outcome, note).toEqual(untouched(name));
    else if (cannotBeAttributed(name, each)) expect(outcome, note).toMatchObject(OURS_WAITS);
    else
      expectRefusal(name, outcome, error, `vendor ${vendorId} attribute ${type} (${titleOf(each.entry.name)})`, note);
  }
}

function absentWithoutM(name: SituationName, cases: readonly Case[]): void {
  expect(cases.length).toBeGreaterThan(0);
  for (const each of cases) {
    const without = [each.entry.definition.type];
    const outcome = outcomeOf(name, { without, more: written(each, false) });
    expect(outcome, describeCase(each)).toEqual(outcomeOf(name, { without }));
  }
}

test("every message that RFC 3931 makes mandatory is here", () => {
  // An ACK is looked at for its Nr alone.
  const elsewhere = ["ACK"];
  const mandatory = (Object.keys(MESSAGES) as MessageName[]).filter((name) => MESSAGES[name].mandatory);
  expect([...MESSAGES_TO_US, ...elsewhere].toSorted()).toEqual(mandatory.toSorted());
});

describe.each(MESSAGES_TO_US)("%s", (name) => {
  const { refusal, accepted } = SITUATIONS[name];
  const refused = refusal === "none" ? "it ends what it ends all the same" : `${refusal}, result 2`;

  test("is accepted as it should be", () => {
    expect(untouched(name)).toMatchObject({ ...accepted, result: undefined, internalErrors: [] });
  });

  test(`G05 G02 an AVP of a wrong length with M: ${refused}, error 2`, () => {
    refusedWithM(name, malformed(name, "wrong-length"), 2);
  });

  test("G05 B06 an AVP of a wrong length without M: as if it were absent", () => {
    absentWithoutM(name, malformed(name, "wrong-length"));
  });

  test(`B02 G05 an AVP longer than the message, or shorter than its own header, with M: ${refused}, error 2`, () => {
    refusedWithM(name, overrunning(name), 2);
  });

  test(`D26 G05 an AVP that is hidden where nothing is shared, with M: ${refused}, error 8`, () => {
    refusedWithM(name, hiddenOnes(name), 8);
  });

  test("D26 B06 a hidden AVP without M: as if it were absent", () => {
    absentWithoutM(name, hiddenOnes(name));
  });

  test(`B04 B05 G02 an AVP that nobody knows, with M: ${refused}, error 8`, () => {
    for (const [vendorId, type] of UNKNOWN) {
      const outcome = outcomeOf(name, { more: avp(type, "c0ffee", { vendorId }) });
      const note = `vendor ${vendorId} attribute ${type}`;
      if (refusal === "none") expect(outcome, note).toEqual(untouched(name));
      else expectRefusal(name, outcome, 8, note, note);
    }
  });

  test("B06 B85 an AVP that nobody knows, without M: as if it were absent", () => {
    for (const [vendorId, type] of UNKNOWN) {
      const outcome = outcomeOf(name, { more: avp(type, "c0ffee", { vendorId, mandatory: false }) });
      expect(outcome, `vendor ${vendorId} attribute ${type}`).toEqual(untouched(name));
    }
  });

  test("A32 a second AVP of a kind is ignored, right or wrong, with M and without", () => {
    for (const { definition } of judged.filter(isListed(name)).filter(({ definition }) => !definition.repeatable)) {
      const { type } = definition;
      const first = valuesThatAre("legal", definition).at(0) as string;
      const once = outcomeOf(name, { without: [type], more: avp(type, first) });
      for (const value of [...valuesThatAre("wrong-length", definition), ...valuesThatAre("legal", definition)]) {
        for (const mandatory of [true, false]) {
          const twice = outcomeOf(name, { without: [type], more: avp(type, first) + avp(type, value, { mandatory }) });
          expect(twice, `${type}: ${first}, then ${value}, M ${mandatory}`).toEqual(once);
        }
      }
    }
  });

  test("A31 B03 known AVPs that do not belong here are ignored, right or wrong, with M and without", () => {
    const strangers = judged.filter((entry) => entry.origin === "ietf" && !belongs(name)(entry));
    expect(strangers.length).toBeGreaterThan(20);
    for (const value of ["", "0000", "0000000000000001"]) {
      for (const mandatory of [true, false]) {
        const more = strangers.map((entry) => written({ entry, value }, mandatory)).join("");
        expect(outcomeOf(name, { more }), `M ${mandatory}, value ${value}`).toEqual(untouched(name));
      }
    }
  });

  test("B110 B111 B134 AVPs of RFC 2661 and of Cisco are ignored beside RFC 3931's, right or wrong, with M and without", () => {
    const others = judged.filter(({ origin }) => origin !== "ietf");
    for (const kind of ["wrong-length", "legal"] as const) {
      // A Challenge that can be answered is no longer ignored where it belongs: 2661-5.1.1 has the tests.
      const entries = others.filter((entry) => kind === "wrong-length" || !names(name).includes(entry.name));
      for (const end of [0, -1]) {
        const cases = entries.flatMap((entry) => {
          const value = valuesThatAre(kind, entry.definition).at(end);
          return value === undefined ? [] : [{ entry, value }];
        });
        expect(cases.length).toBeGreaterThan(20);
        for (const [mandatory, hidden] of [[true, false] as const, [false, false] as const, [true, true] as const]) {
          const more = cases.map((each) => written({ ...each, hidden }, mandatory)).join("");
          expect(outcomeOf(name, { more }), `M ${mandatory}, H ${hidden}, ${kind}`).toEqual(untouched(name));
        }
      }
    }
  });

  test(`G06 G02 a required AVP that is missing: ${refused}, error 3, and the text names it`, () => {
    for (const required of MESSAGES[name].requires) {
      const entry = REGISTERED_AVPS.find((each) => each.name === required && each.origin === "ietf") as RegisteredAvp;
      const outcome = outcomeOf(name, { without: [entry.definition.type] });
      // Known peers leave it out, and nothing depends on it.
      const dispensable = required === "serialNumber";
      if (refusal === "none" || dispensable) expect(outcome, required).toEqual(untouched(name));
      else if (cannotBeAttributed(name, { entry, value: "" })) expect(outcome, required).toMatchObject(OURS_WAITS);
      else expectRefusal(name, outcome, 3, `${name} without ${titleOf(required)}`, required);
    }
  });

  test("B10 AVPs may come in any order", () => {
    for (const required of MESSAGES[name].requires) {
      const entry = REGISTERED_AVPS.find((each) => each.name === required && each.origin === "ietf") as RegisteredAvp;
      expect(outcomeOf(name, {}, entry.definition.type), required).toEqual(untouched(name));
    }
  });
});

describe("a value out of range", () => {
  // Messages all of whose AVPs take any value have nothing to show here.
  const rows = MESSAGES_TO_US.map((name) => [name, malformed(name, "value-out-of-range")] as const);
  const concerned = rows.filter(([, cases]) => cases.length > 0);

  test.each(concerned)(
    "G05 G02 in %s, with M: refused with result 2, error 3, or a farewell that counts",
    (name, cases) => {
      refusedWithM(name, cases, 3);
    },
  );

  test.each(concerned)("G05 B06 in %s, without M: as if it were absent", (name, cases) => {
    absentWithoutM(name, cases);
  });
});
