import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { PcapFile } from "../../../src/cli/pcap.ts";
import { messageLines } from "../../../src/cli/trace.ts";
import type { TracedMessage } from "../../../src/daemon/message-tap.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "trace-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

test("a message in words", () => {
  const traced: TracedMessage = {
    time: new Date(2026, 0, 2, 3, 4, 5, 6).toISOString(),
    direction: "received",
    message: "ICRP",
    encapsulation: "udp",
    local: { address: "2001:db8::1", port: 1701 },
    peer: { address: "2001:db8::2", port: 1702 },
    ccid: 7,
    ns: 1,
    nr: 3,
    avps: [
      { vendor: 0, type: 0, name: "Message Type", mandatory: true, hidden: false, value: "11 (ICRP)" },
      { vendor: 0, type: 65, name: "Assigned Cookie", mandatory: true, hidden: true, value: null },
      { vendor: 0, type: 59, name: "Message Digest", mandatory: false, hidden: false, value: null },
      { vendor: 9, type: 99, name: "", mandatory: false, hidden: false, value: '"\u001b[2J"' },
    ],
    octets: "",
  };
  expect(messageLines(traced)).toEqual([
    "03:04:05.006  received  ICRP  [2001:db8::2]:1702 > [2001:db8::1]:1701  CCID 7  Ns 1  Nr 3",
    "    M-  Message Type (0): 11 (ICRP)",
    "    MH  Assigned Cookie (65): (hidden)",
    "    --  Message Digest (59): (not shown)",
    '    --  AVP 9/99: "?[2J"',
  ]);
  expect(messageLines({ ...traced, direction: "sent", message: "no header", ccid: null, avps: [] })).toEqual([
    "03:04:05.006  sent      no header  [2001:db8::1]:1701 > [2001:db8::2]:1702",
  ]);
});

describe("the capture file", () => {
  test("is new, and its owner's alone", () => {
    const path = join(directory, "a.pcap");
    const umask = process.umask(0);
    try {
      new PcapFile(path).close();
    } finally {
      process.umask(umask);
    }
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(() => new PcapFile(path)).toThrow(/EEXIST.*a\.pcap/);
  });
});
