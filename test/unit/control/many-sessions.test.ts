import { expect, test } from "vitest";
import { A, B, lcce, session, tunnel } from "../../support/sites.ts";
import { VirtualLink } from "../../support/virtual-link.ts";

const SESSIONS = 300;
const PER_TURN = 128;

test("calls are placed some at a time, in order and without waiting: no turn is for a thousand of them", () => {
  const link = new VirtualLink();
  const sessions = Array.from({ length: SESSIONS }, (_, index) => session(`s${index}`));
  const a = link.add(A, lcce("a", tunnel("t", { role: "initiator", peer: B, sessions })));
  const b = link.add(B, lcce("b", tunnel("t", { role: "responder", peer: A, sessions })));
  const states = (node: typeof a) => node.core.view().tunnels[0]?.sessions.map(({ state }) => state) ?? [];
  const calling = () => states(a).filter((state) => state !== "idle").length;

  link.start();
  const counts: number[] = [];
  const [receive, expire] = [a.core.receive.bind(a.core), a.core.expire.bind(a.core)];
  const counted = <T>(turn: () => T): T => {
    const before = calling();
    const effects = turn();
    if (calling() > before) counts.push(calling() - before);
    return effects;
  };
  a.core.receive = (...input) => counted(() => receive(...input));
  a.core.expire = (now) => counted(() => expire(now));
  expect(link.runUntil(() => calling() === SESSIONS)).toBe(true);
  expect(counts).toEqual([PER_TURN, PER_TURN, SESSIONS - 2 * PER_TURN]);
  // All of them at the instant of the SCCRP: 2 ways of 10 ms.
  expect(link.now).toBe(20);

  const up = () => [...states(a), ...states(b)].every((state) => state === "established");
  expect(link.runUntil(up)).toBe(true);
  const made = [...b.datapathSessions.values()].map(({ interfaceName }) => interfaceName);
  expect(made).toEqual(sessions.map(({ interfaceName }) => interfaceName));
});
