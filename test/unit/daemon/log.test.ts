import pino from "pino";
import { expect, test } from "vitest";
import { withPriorities } from "../../../src/daemon/log.ts";

test("a line for journald begins with its priority, and is the same line otherwise", () => {
  const written: string[] = [];
  const write = (line: string) => void written.push(line);
  const options = { level: "trace", base: null, timestamp: false } as const;
  const plain = pino(options, { write });
  const prefixed = pino(options, withPriorities({ write }));
  const levels = ["fatal", "error", "warn", "info", "debug", "trace"] as const;
  for (const level of levels) for (const log of [plain, prefixed]) log[level]({ event: "x" }, "words");
  const priorities = [3, 3, 4, 6, 7, 7];
  expect(written.filter((_, index) => index % 2 === 1)).toEqual(
    priorities.map((priority, index) => `<${priority}>${written[2 * index]}`),
  );
});
