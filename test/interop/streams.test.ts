import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { encodeMessage, encodeZlb } from "../../src/avp/encode.ts";
import { PcapFile } from "../../src/cli/pcap.ts";
import { type DaemonProcess, FollowedCommand, until } from "../support/daemon-process.ts";
import { flawsOf } from "../support/json-schema.ts";
import { execute, namespacesMissing } from "../support/namespaces.ts";
import { dissect, tsharkMissing } from "../support/tshark.ts";
import { TwoSites } from "../support/two-sites.ts";
import { MESSAGE_TYPES } from "../support/wire.ts";

const missing = namespacesMissing() ?? tsharkMissing();
const UP_MS = 15_000;

const FIELDS = [
  "frame.time_epoch",
  "ip.src",
  "ipv6.src",
  "udp.srcport",
  "ip.proto",
  "l2tp.type",
  "l2tp.version",
  "l2tp.ccid",
  "l2tp.avp.message_type",
  "ip.checksum.status",
  "udp.checksum.status",
  "_ws.malformed",
  "_ws.expert.message",
];
const CHECKED = ["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"];

describe.skipIf(missing !== undefined)(`capture files${missing ? ` (${missing})` : ""}`, () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "trace-"));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  test("are what tshark understands, over UDP and IP, IPv4 and IPv6", async () => {
    const path = join(directory, "b.pcap");
    const file = new PcapFile(path);
    const hello = encodeMessage(7, 3, 4, { name: "HELLO" });
    const [v4, v6] = [
      [
        { address: "192.0.2.1", port: 1701 },
        { address: "192.0.2.2", port: 40_000 },
      ],
      [
        { address: "2001:db8::1", port: 1701 },
        { address: "fe80::2%eth0", port: 1701 },
      ],
    ] as const;
    const atMs = Date.UTC(2026, 0, 2, 3, 4, 5, 6);
    file.append({ atMs, from: v4[0], to: v4[1], encapsulation: "udp", octets: hello });
    file.append({ atMs, from: v6[1], to: v6[0], encapsulation: "udp", octets: encodeZlb(9, 1, 2) });
    const [a, b] = [
      { address: "192.0.2.1", port: 0 },
      { address: "192.0.2.2", port: 0 },
    ];
    file.append({ atMs, from: a, to: b, encapsulation: "ip", octets: hello });
    file.append({
      atMs,
      from: { address: "::1", port: 0 },
      to: { address: "::", port: 0 },
      encapsulation: "ip",
      octets: hello,
    });
    file.close();
    const frames = await dissect(path, FIELDS, CHECKED);
    expect(frames.map((frame) => frame["l2tp.avp.message_type"]?.[0] ?? "ZLB")).toEqual(["6", "ZLB", "6", "6"]);
    for (const frame of frames) {
      expect(frame).toMatchObject({ "l2tp.version": ["3"] });
      expect(frame).not.toHaveProperty(["_ws.malformed"]);
      expect(frame).not.toHaveProperty(["_ws.expert.message"]);
      for (const layer of ["ip", "udp"]) expect(frame[`${layer}.checksum.status`] ?? ["1"]).toEqual(["1"]);
    }
    expect(frames[0]).toMatchObject({ "ip.src": ["192.0.2.1"], "udp.srcport": ["1701"], "l2tp.ccid": ["0x00000007"] });
    expect(frames[0]?.["frame.time_epoch"]?.[0]).toMatch(/2026.*05\.006|1767323045\.006/);
    expect(frames[1]).toMatchObject({ "ipv6.src": ["fe80::2"] });
    expect(frames[2]).toMatchObject({ "ip.proto": ["115"] });
    expect(frames[3]).toMatchObject({ "ipv6.src": ["::1"] });
  });
});

describe.skipIf(missing !== undefined)(`what follows a real daemon${missing ? ` (${missing})` : ""}`, () => {
  let sites: TwoSites;
  let paris: DaemonProcess;
  let lyon: DaemonProcess;
  beforeEach(async () => {
    sites = new TwoSites();
    const extra = { lcce: 'datapath = "none"', tunnel: 'secret = "correct horse"\nhidden = true' };
    lyon = sites.start(sites.lyon, sites.configuration(sites.lyon, extra));
    paris = sites.start(sites.paris, sites.configuration(sites.paris, extra));
    await Promise.all([paris.untilUp(UP_MS), lyon.untilUp(UP_MS)]);
  });
  afterEach(() => sites.remove());

  test("show: --json is what the schema says, words say who and what, tables fit COLUMNS", async () => {
    const schema = JSON.parse(readFileSync(new URL("../../docs/show.schema.json", import.meta.url), "utf8"));
    expect(flawsOf(await paris.show(), schema)).toEqual([]);
    const { stdout } = await paris.command("show", "tunnel", "lyon");
    expect(stdout).toMatch(/State +established since .* this end opened it/);
    expect(stdout).toMatch(/Peer's identity +host name site-lyon, Router ID 192\.0\.2\.2/);
    expect(stdout).toMatch(/Authentication +shared secret, HMAC-MD5, AVPs are hidden/);
    expect(stdout).not.toContain("correct horse");
    const narrow = await execute("sh", ["-c", `COLUMNS=60 ${paris.commandLine("show")}`]);
    expect(Math.max(...narrow.stdout.split("\n").map(({ length }) => length))).toBeLessThanOrEqual(80);
    expect(await paris.command("show", "tunnel", "lan42")).toMatchObject({
      code: 1,
      stderr: 'l2tpv3-lcc: there is no tunnel "lan42"\n',
    });
  });

  test("events: as they happen, in words and as objects, done at Ctrl-C", async () => {
    const [words, objects] = [paris.follow("events"), paris.follow("events", "--json")];
    // Whoever comes too late for the first has missed it.
    await until("both follow", UP_MS, async () => {
      await paris.command("close", "lyon/lan42");
      await paris.command("open", "lyon/lan42");
      return [words, objects].every(({ stdout }) => stdout.includes("session-up"));
    });
    await paris.command("close", "lyon");
    await until("the end", UP_MS, () => [words, objects].every(({ stdout }) => stdout.includes("tunnel-down")));
    const events = objects.lines.map((line) => JSON.parse(line));
    expect(events.find(({ event }) => event === "tunnel-down")).toMatchObject({
      level: "warn",
      tunnel: "lyon",
      message: "tunnel is down: closed by the administrator",
      details: { peer_hostname: "site-lyon", reason: "closed by the administrator" },
    });
    expect(words.lines.find((line) => line.includes("tunnel-down"))).toMatch(
      /^[\d:.]{12} {2}warn {3}tunnel-down {2}lyon: tunnel is down: closed by the administrator$/,
    );
    expect(await words.stop("SIGINT")).toEqual({ code: 0, signal: null });
    expect(await objects.stop("SIGTERM")).toEqual({ code: 0, signal: null });
    expect([words.stderr, objects.stderr]).toEqual(["", ""]);
  });

  test("events: what ends with the daemon is told before its end, which is an error", async () => {
    const events = paris.follow("events", "--json");
    await until("it follows", UP_MS, async () => {
      await paris.command("reload");
      return events.lines.length > 0;
    });
    expect((await paris.stop("SIGTERM")).code).toBe(0);
    expect(await events.exited).toEqual({ code: 1, signal: null });
    expect(events.stderr).toBe("l2tpv3-lcc: the daemon has stopped\n");
    const told = events.lines.map((line) => JSON.parse(line).event);
    expect(told).toEqual(expect.arrayContaining(["stopping", "session-down", "tunnel-down"]));
  });

  test("watch: on a terminal it draws, and gives the screen back with q", async () => {
    const watch = new FollowedCommand("script", ["-qec", paris.commandLine("watch"), "/dev/null"]);
    await until("the table", UP_MS, () => watch.stdout.includes("q: quit"));
    expect(watch.stdout).toContain("\u001b[?1049h");
    await paris.command("close", "lyon/lan42");
    await until("the event", UP_MS, () => watch.stdout.includes("session-down"));
    watch.type("q");
    expect(await watch.exited).toEqual({ code: 0, signal: null });
    expect(watch.stdout.endsWith("\u001b[?25h\u001b[?1049l")).toBe(true);
  });

  test("watch: through a pipe it prints, and the daemon's end is an error", async () => {
    const watch = paris.follow("watch");
    await until("the table", UP_MS, () => watch.stdout.includes("l2-lyon"));
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect((await paris.stop("SIGTERM")).code).toBe(0);
    expect(await watch.exited).toEqual({ code: 1, signal: null });
    expect([watch.stdout.match(/TUNNEL \/ SESSION/g)?.length, watch.stdout.includes("\u001b")]).toEqual([1, false]);
    expect(watch.stdout).toContain("tunnel-down");
  });

  test("trace: a whole connection in words and in a file for Wireshark, without what is secret", async () => {
    expect(await paris.command("close", "lyon")).toMatchObject({ code: 0 });
    await lyon.untilTunnel("the StopCCN", UP_MS, ({ state }) => state === "idle");
    const [file, whole] = [join(sites.directory, "lyon.pcap"), join(sites.directory, "whole.pcap")];
    const plain = paris.follow("trace", "lyon", "--pcap", file);
    const open = paris.follow("trace", "lyon", "--secrets", "--pcap", whole);
    const answering = lyon.follow("trace", "paris");
    // The file is there before the daemon knows.
    await until("they trace", UP_MS, () => [file, whole].every((path) => statSync(path, { throwIfNoEntry: false })));
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    await paris.command("open", "lyon");
    await paris.untilUp(UP_MS);
    expect((await paris.stop("SIGTERM")).code).toBe(0);
    expect([await plain.exited, await open.exited]).toEqual([
      { code: 1, signal: null },
      { code: 1, signal: null },
    ]);

    for (const name of ["SCCRQ", "SCCRP", "SCCCN", "ICRQ", "ICRP", "ICCN", "StopCCN"]) {
      expect(plain.stdout).toMatch(new RegExp(`(sent|received) +${name}  `));
      expect(answering.stdout).toMatch(new RegExp(`(sent|received) +${name}  `));
    }
    expect(plain.stdout).toContain('Host Name (7): "site-lyon"');
    expect(plain.stdout).toMatch(
      /received +ICRP {2}192\.0\.2\.2:1701 > 192\.0\.2\.1:1701 {2}CCID \d+ {2}Ns 1 {2}Nr \d/,
    );
    expect(plain.stdout).toMatch(/MH {2}Assigned Cookie \(65\): \(hidden\)/);
    expect(plain.stdout).toMatch(/Message Digest \(59\): \(not shown\)/);
    expect(plain.stdout).not.toMatch(/Assigned Cookie \(65\): 0x/);
    const cookies = open.stdout.match(/(?<=Assigned Cookie \(65\): 0x)[0-9a-f]{16}/g) ?? [];
    expect(cookies.length).toBeGreaterThanOrEqual(2);
    expect(open.stdout).toContain('Remote End ID (66): "lan42"');
    expect(open.stdout).not.toContain("(hidden)");
    expect(open.stdout).not.toContain("correct horse");

    expect(statSync(file).mode & 0o777).toBe(0o600);
    const frames = await dissect(file, FIELDS, CHECKED);
    expect(frames.length).toBe(plain.lines.filter((line) => /^\d\d:/.test(line)).length);
    for (const frame of frames) {
      expect(frame).toMatchObject({ "l2tp.type": ["1"], "l2tp.version": ["3"] });
      expect(frame).not.toHaveProperty(["_ws.malformed"]);
      // The digests are zeros.
      expect(frame["_ws.expert.message"] ?? ["Incorrect Digest"]).toEqual(["Incorrect Digest"]);
    }
    // With --secrets they are as they were, and Wireshark finds them right.
    const verified = await dissect(whole, FIELDS, [...CHECKED, "-o", "l2tp.shared_secret:correct horse"]);
    expect(verified.map((frame) => frame["_ws.expert.message"])).toEqual(frames.map(() => undefined));
    const said = frames.map((frame) => MESSAGE_TYPES[Number(frame["l2tp.avp.message_type"]?.[0])]);
    expect(said.slice(0, 3)).toEqual(["SCCRQ", "SCCRP", "SCCCN"]);
    expect(said).toEqual(expect.arrayContaining(["ICRQ", "ICRP", "ICCN", "StopCCN"]));
    expect(await answering.stop("SIGINT")).toEqual({ code: 0, signal: null });
  });

  test("what a reload brings has events and is traced; what it takes away has ended, and nobody knows it", async () => {
    const events = paris.follow("events", "--json");
    await until("it follows", UP_MS, async () => {
      await paris.command("reload");
      return events.lines.length > 0;
    });
    const site = readFileSync(paris.configurationFile, "utf8");
    writeFileSync(paris.configurationFile, site.replaceAll("tunnel.lyon", "tunnel.nice"));
    expect(await paris.command("reload")).toMatchObject({ code: 0 });
    const told = () => events.lines.map((line) => JSON.parse(line)).map(({ event, tunnel }) => `${event} ${tunnel}`);
    await until("the other one is up", UP_MS, () => told().includes("session-up nice"));
    expect(told()).toEqual(expect.arrayContaining(["session-down lyon", "tunnel-down lyon", "tunnel-up nice"]));

    const trace = paris.follow("trace", "nice");
    await until("it traces", UP_MS, async () => {
      await paris.command("close", "nice/lan42");
      await paris.command("open", "nice/lan42");
      return trace.stdout.includes("ICRQ");
    });
    expect(await trace.stop("SIGINT")).toEqual({ code: 0, signal: null });
    expect(await paris.command("trace", "lyon")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('there is no tunnel named "lyon"'),
    });
  });

  test("trace: a tunnel that nobody knows, and a file that exists", async () => {
    expect(await paris.command("trace", "lion")).toEqual({
      code: 1,
      stdout: "",
      stderr: 'l2tpv3-lcc: there is no tunnel named "lion", did you mean "lyon"?\n',
    });
    const { code, stderr } = await paris.command("trace", "lyon", "--pcap", paris.configurationFile);
    expect([code, stderr]).toEqual([1, expect.stringContaining("EEXIST")]);
  });
});
