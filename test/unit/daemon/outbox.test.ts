import { expect, test } from "vitest";
import { Outbox } from "../../../src/daemon/outbox.ts";

const to = { address: "192.0.2.2", port: 1701 };
const send = (number: number) =>
  ({ type: "send", localControlConnectionId: number, to, octets: Uint8Array.of(number) }) as const;
const reply = { type: "reply", from: { address: "0.0.0.0", port: 1701 }, to, octets: Uint8Array.of(9) } as const;
const passes = () => {};
const act = (step: () => void) => step();

function open(keeping: boolean) {
  const done: string[] = [];
  const transport = {
    send: (id: number) => void done.push(`send ${id}`),
    reply: () => void done.push("reply"),
  };
  const outbox = new Outbox(transport, passes, keeping ? { commit: () => void done.push("commit") } : undefined);
  return { done, outbox };
}

test("messages leave at once where nothing is kept", () => {
  const { done, outbox } = open(false);
  outbox.send(send(1));
  outbox.send(reply);
  outbox.release(act);
  expect(done).toEqual(["send 1", "reply"]);
});

test("messages wait for what has led to them to be written, once for all of them", () => {
  const { done, outbox } = open(true);
  outbox.send(send(1));
  outbox.send(reply);
  outbox.send(send(2));
  expect(done).toEqual([]);
  outbox.release(act);
  expect(done).toEqual(["commit", "send 1", "reply", "send 2"]);
  outbox.release(act);
  expect(done.slice(4)).toEqual(["commit"]);
});

test("one that fails takes no other with it, nor does what cannot be written", () => {
  const done: number[] = [];
  const transport = {
    send: (id: number) => {
      if (id === 1) throw new Error("no route");
      done.push(id);
    },
    reply: () => {},
  };
  const failing = {
    commit: () => {
      throw new Error("no space");
    },
  };
  const outbox = new Outbox(transport, passes, failing);
  const errors: unknown[] = [];
  for (const id of [1, 2]) outbox.send(send(id));
  outbox.release((step) => {
    try {
      step();
    } catch (error) {
      errors.push(error);
    }
  });
  expect(done).toEqual([2]);
  expect(errors).toHaveLength(2);
});
