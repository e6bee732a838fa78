import { expect, test } from "vitest";
import {
  admit,
  ControlInbox,
  type ControlReceiver,
  MOST_UNHANDLED,
  newBacklog,
} from "../../../src/kernel/control-inbox.ts";

const turn = () => new Promise((resolve) => setImmediate(resolve));

function receiver(handled: number[]): ControlReceiver {
  return { backlog: newBacklog(), onControlDatagram: (octets) => handled.push(octets[0] ?? -1) };
}

/** As the forwarding thread and the port do together. */
function post(inbox: ControlInbox, to: ControlReceiver, first: number): boolean {
  if (!admit(to.backlog)) return false;
  inbox.push(to, Uint8Array.of(first));
  return true;
}

test("a flood is cut off; what was admitted is handled in its order, a bounded number in a turn", async () => {
  const handled: number[] = [];
  const flooded = receiver(handled);
  const inbox = new ControlInbox();
  const admitted = Array.from({ length: 10_000 }, (_, i) => post(inbox, flooded, i & 0xff)).filter(Boolean).length;
  expect(admitted).toBe(MOST_UNHANDLED);
  const perTurn: number[] = [];
  while (handled.length < admitted) {
    const before = handled.length;
    await turn();
    perTurn.push(handled.length - before);
  }
  expect(Math.max(...perTurn)).toBeLessThanOrEqual(64);
  expect(handled).toEqual(Array.from({ length: admitted }, (_, i) => i & 0xff));
  expect(post(inbox, flooded, 7)).toBe(true);
});

test("one tunnel's flood leaves the others room", async () => {
  const handled: number[] = [];
  const [flooded, quiet] = [receiver([]), receiver(handled)];
  const inbox = new ControlInbox();
  for (let i = 0; i < 1_000; i++) post(inbox, flooded, 0);
  expect(post(inbox, quiet, 1)).toBe(true);
  for (let i = 0; i < 10; i++) await turn();
  expect(handled).toEqual([1]);
});

test("flush hands over at once what waits for one, and leaves the rest", async () => {
  const [first, second]: [number[], number[]] = [[], []];
  const [one, other] = [receiver(first), receiver(second)];
  const inbox = new ControlInbox();
  for (let i = 0; i < 3; i++) {
    post(inbox, one, i);
    post(inbox, other, i + 10);
  }
  inbox.flush(one);
  expect([first, second]).toEqual([[0, 1, 2], []]);
  await turn();
  expect([first, second]).toEqual([
    [0, 1, 2],
    [10, 11, 12],
  ]);
});
