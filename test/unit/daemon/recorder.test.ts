import { describe, expect, test } from "vitest";
import type { Input } from "../../../src/control/core.ts";
import { Lcce } from "../../../src/control/lcce.ts";
import { type RecordableCore, Recorder } from "../../../src/daemon/recorder.ts";
import type { Lines } from "../../../src/daemon/recording-file.ts";
import { readEntry, readHeader } from "../../../src/daemon/recording-format.ts";
import { Replay, ReplayDeparture } from "../../../src/daemon/replay.ts";
import { authentication, OTHER_SECRET, SECRET } from "../../support/authenticated-sites.ts";
import { ascii } from "../../support/digest-by-hand.ts";
import { B, lcce, tunnel } from "../../support/sites.ts";
import { SeededEntropy } from "../../support/virtual-link.ts";
import { hexOf } from "../../support/wire.ts";

class Memory implements Lines {
  readonly lines: string[] = [];
  readonly errors: unknown[] = [];
  open = true;

  append(line: string): void {
    this.lines.push(line);
  }

  fail(error: unknown): void {
    this.open = false;
    this.errors.push(error);
  }

  get text(): string {
    return this.lines.join("\n");
  }
}

const TO_B = tunnel("to-b", { peer: B, role: "initiator", authentication: authentication() });
const FROM = { address: B, port: 1701 };

/** A core that does whatever a test wants. */
function coreThat(act: (input: Input | undefined) => void, more: Partial<RecordableCore> = {}): RecordableCore {
  const step = (input: Input | undefined) => {
    act(input);
    return [];
  };
  return {
    receive: step,
    expire: () => step(undefined),
    nextDeadline: () => undefined,
    idle: () => true,
    view: () => ({ hostname: "", routerId: 0, tunnels: [] }),
    witnesses: () => [],
    ...more,
  };
}

function recorderOf(memory: Memory, configuration = lcce("site-a", TO_B)): Recorder {
  return new Recorder(memory, "1.2.3", configuration, 7);
}

describe("the header", () => {
  test("is the configuration with stand-ins: equal secrets have equal ones, no octets stay no octets", () => {
    const memory = new Memory();
    const withPassword = { ...authentication(), chapPassword: ascii("a CHAP password") };
    const configuration = lcce(
      "site-a",
      tunnel("one", { authentication: authentication({ secrets: [OTHER_SECRET, SECRET] }) }),
      tunnel("two", { authentication: withPassword }),
      tunnel("three", { authentication: authentication({ secrets: [new Uint8Array(0)] }) }),
    );
    recorderOf(memory, configuration)
      .core(coreThat(() => {}))
      .expire(7);
    const secrets: Uint8Array[] = [];
    const header = readHeader(memory.lines[0] ?? "", secrets);
    const [one, two, three] = header.configuration.tunnels;
    const known = [ascii("secret-1"), ascii("secret-2")];
    expect(one?.authentication.secrets).toEqual(known);
    expect(two?.authentication).toEqual({
      ...authentication({ secrets: [ascii("secret-2")] }),
      chapPassword: ascii("secret-3"),
    });
    expect(three?.authentication.secrets).toEqual([new Uint8Array(0)]);
    expect(secrets.map(hexOf)).toEqual(["secret-1", "secret-2", "secret-2", "secret-3"].map((it) => hexOf(ascii(it))));
    expect(header).toMatchObject({ format: 1, version: "1.2.3", now: 7 });
    for (const secret of [SECRET, OTHER_SECRET, ascii("a CHAP password")]) {
      expect(memory.text).not.toContain(hexOf(secret));
      expect(memory.text).not.toContain(Buffer.from(secret).toString("latin1"));
    }
  });

  test("is not written before there is something to record", () => {
    const memory = new Memory();
    recorderOf(memory);
    expect(memory.lines).toEqual([]);
  });
});

describe("entries", () => {
  test("inputs of any kind are read back as they were, expire as well", () => {
    const memory = new Memory();
    const core = recorderOf(memory).core(coreThat(() => {}));
    const errors = { hardwareOverruns: 1, bufferOverruns: 2, timeouts: 3, alignments: 4 };
    const inputs: readonly Input[] = [
      { type: "start" },
      { type: "open", tunnel: "to-b", session: "x" },
      { type: "circuit", interfaceName: "eth0", condition: "no-carrier" },
      { type: "circuit-errors", interfaceName: "eth0", errors },
      { type: "activity", localControlConnectionId: 5, receivedPackets: 6 },
    ];
    for (const [index, input] of inputs.entries()) core.receive(input, index + 0.123456789);
    core.expire(9.75);
    const entries = memory.lines.slice(1).map((line) => readEntry(line, []));
    expect(entries).toEqual([
      ...inputs.map((input, index) => ({ at: index + 0.123456789, input, drawn: [] })),
      { at: 9.75, input: undefined, drawn: [] },
    ]);
  });

  test("an input with a tunnel's new secrets is recorded with their stand-ins", () => {
    const memory = new Memory();
    const core = recorderOf(memory).core(coreThat(() => {}));
    const change = { type: "authentication-changed", tunnel: "to-b" };
    const input = { ...change, authentication: authentication({ secrets: [OTHER_SECRET, SECRET] }) };
    // As a core with more inputs than today's has it.
    core.receive(input as unknown as Input, 8);
    const known = authentication({ secrets: [ascii("secret-2"), ascii("secret-1")] });
    expect(readEntry(memory.lines[1] ?? "", []).input).toEqual({ ...change, authentication: known });
    expect(memory.text).not.toContain(hexOf(OTHER_SECRET));
  });

  test("an entry tells what the core drew, secret octets by their stand-ins", () => {
    const memory = new Memory();
    const recorder = recorderOf(memory);
    const source = new SeededEntropy(3);
    const entropy = recorder.entropy(source);
    const drawn: (number | Uint8Array)[] = [];
    const core = recorder.core(
      coreThat(() =>
        drawn.push(entropy.uint32(), entropy.octets(3), entropy.secretOctets(4), entropy.secretOctets(70)),
      ),
    );
    core.expire(1);
    const same = new SeededEntropy(3);
    expect(drawn).toEqual([same.uint32(), same.octets(3), same.octets(4), same.octets(70)]);
    const [number, octets, cookie, long] = readEntry(memory.lines[1] ?? "", []).drawn;
    expect([number, octets]).toEqual([drawn[0], hexOf(drawn[1] as Uint8Array)]);
    expect(cookie).toEqual({ secret: expect.stringMatching(/^[0-9a-f]{8}$/) });
    expect(long).toEqual({ secret: expect.stringMatching(/^[0-9a-f]{140}$/) });
    expect(memory.text).not.toContain(hexOf(drawn[3] as Uint8Array));
  });

  test("a datagram that nobody can read keeps no more than a header", () => {
    const memory = new Memory();
    const core = recorderOf(memory).core(coreThat(() => {}));
    const noise = Uint8Array.from([0xc8, 2, 0, 30, ...new Uint8Array(8), ...SECRET]);
    core.receive({ type: "datagram", from: FROM, to: FROM, octets: noise }, 1);
    const { input } = readEntry(memory.lines[1] ?? "", []);
    if (input?.type !== "datagram") throw new Error("no datagram");
    expect(input.octets.length).toBe(noise.length);
    expect(hexOf(input.octets.subarray(0, 12))).toBe(hexOf(noise.subarray(0, 12)));
    expect(memory.text).not.toContain(hexOf(SECRET));
  });
});

describe("when something goes wrong", () => {
  test("what the core throws is thrown, and its input is in the recording", () => {
    const memory = new Memory();
    const recorder = recorderOf(memory);
    const entropy = recorder.entropy(new SeededEntropy(1));
    const core = recorder.core(
      coreThat(() => {
        entropy.uint32();
        throw new Error("a bug");
      }),
    );
    expect(() => core.receive({ type: "start" }, 1)).toThrow("a bug");
    expect(memory.lines.slice(1)).toEqual([
      JSON.stringify({ at: 1, input: { type: "start" }, drawn: [new SeededEntropy(1).uint32()] }),
    ]);
  });

  test("what cannot be sanitised ends the recording, and the core goes on", () => {
    const memory = new Memory();
    let taken = 0;
    const count = () => {
      taken += 1;
    };
    const witnesses = () => {
      throw new TypeError("a bug");
    };
    const core = recorderOf(memory).core(coreThat(count, { witnesses }));
    core.receive({ type: "start" }, 1);
    const before = [...memory.lines];
    const octets = Uint8Array.from([0xc8, 3, 0, 12, ...new Uint8Array(8)]);
    core.receive({ type: "datagram", from: FROM, to: FROM, octets }, 2);
    core.receive({ type: "shutdown" }, 3);
    expect(taken).toBe(3);
    expect(memory.errors).toEqual([new TypeError("a bug")]);
    expect(memory.lines).toEqual(before);
  });
});

describe("a replay", () => {
  function recorded(): Memory {
    const memory = new Memory();
    const configuration = lcce("site-a", TO_B);
    const recorder = recorderOf(memory, configuration);
    const core = recorder.core(new Lcce(configuration, recorder.entropy(new SeededEntropy(5)), 7));
    core.receive({ type: "start" }, 8);
    return memory;
  }

  test("tells which states have changed", () => {
    const [header = "", start = ""] = recorded().lines;
    const { changes, effects } = new Replay(header).step(start);
    expect(changes).toEqual([{ tunnel: "to-b", from: "idle", to: "wait-ctl-reply" }]);
    expect(effects.map(({ type }) => type)).toEqual(["open-socket", "send"]);
  });

  test.each([
    ["too little chance", (drawn: unknown[]) => drawn.slice(1), /^the core draws .* which the recording has not$/],
    ["too much chance", (drawn: unknown[]) => [...drawn, 1], /^1 of the \d+ values that the core drew are not asked/],
    ["chance of another kind", (drawn: unknown[]) => drawn.map(() => ({ secret: "00" })), /^the core draws /],
  ])("with %s departs", (_, change, message) => {
    const [header = "", start = ""] = recorded().lines;
    const { drawn, ...entry } = JSON.parse(start);
    const step = () => new Replay(header).step(JSON.stringify({ ...entry, drawn: change(drawn) }));
    expect(step).toThrow(ReplayDeparture);
    expect(step).toThrow(message);
  });

  test("of a configuration that means nothing to this version says so", () => {
    const configuration = { hostname: "a", routerId: 1, tunnels: [{ name: "x" }] };
    const header = JSON.stringify({ format: 1, version: "9.9", recorded: "", now: 0, configuration });
    expect(() => new Replay(header)).toThrow("the configuration, of l2tpv3-lcc 9.9, means nothing to this one");
  });
});
