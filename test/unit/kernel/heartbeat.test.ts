import { expect, test } from "vitest";
import { Heartbeat, Pulse } from "../../../src/kernel/heartbeat.ts";

test("a thread that takes turns when it is woken responds, and one that does not, does not", () => {
  const heartbeat = new Heartbeat();
  const pulse = new Pulse(heartbeat.shared);
  let stuck = false;
  const ask = () => heartbeat.hasTurned(() => stuck || pulse.beat());
  expect([ask(), ask(), ask()]).toEqual([true, true, true]);
  stuck = true;
  // It was woken in time the last time.
  expect([ask(), ask(), ask()]).toEqual([true, false, false]);
  stuck = false;
  expect([ask(), ask()]).toEqual([false, true]);
});

test("one that has not begun yet has until the second time", () => {
  const heartbeat = new Heartbeat();
  expect([heartbeat.hasTurned(() => {}), heartbeat.hasTurned(() => {})]).toEqual([true, false]);
});

test("the thread's next turn is its last when it shall stop", () => {
  const heartbeat = new Heartbeat();
  const pulse = new Pulse(heartbeat.shared);
  expect(pulse.beat()).toBe(true);
  heartbeat.stop();
  expect(pulse.beat()).toBe(false);
});
