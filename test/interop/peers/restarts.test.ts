import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { DaemonProcess } from "../../support/daemon-process.ts";
import { writePcap } from "../../support/pcap.ts";
import { tsharkMissing } from "../../support/tshark.ts";
import { avp } from "../../support/wire.ts";
import { CISCO } from "./cisco.ts";
import { DaemonOnLoopback } from "./daemon-on-loopback.ts";
import { flaws } from "./judgement.ts";
import { type Personality, text, u32 } from "./personality.ts";
import { SEIL } from "./small-routers.ts";
import { WirePeer } from "./wire-peer.ts";

const UP_MS = 30_000;
const STOPCCN = 4;
const CDN = 14;
const PEER = "127.77.2.2";

let host: DaemonOnLoopback;
let peer: WirePeer;

async function facing(personality: Personality): Promise<void> {
  host = await DaemonOnLoopback.at("127.77.2.1");
  peer = await WirePeer.bind(PEER, { personality, daemon: host.endpoint });
}

/** One tunnel to the peer, with one session "100". */
function tunnel(role: "initiator" | "responder", more = ""): string {
  const { port } = peer.endpoint;
  return `[tunnel.paris]
peer = "${PEER}"
peer_port = ${port}
local_port = 0
local = "${host.endpoint.address}"
role = "${role}"
reconnect = { min = "100ms", max = "1s" }
${more}
[tunnel.paris.session.s]
remote_end_id = "100"
cookie_size = 4`;
}

/** Every message of the test is well formed, as tshark sees it, where there is one. */
async function finish(): Promise<void> {
  try {
    if (tsharkMissing() !== undefined) return;
    const file = join(host.directory, "all.pcap");
    writePcap(file, peer.transcript);
    const wanted = { messages: peer.transcript.length, ours: host.endpoint.address, signed: false };
    expect(await flaws(file, wanted, [peer.endpoint.port, host.endpoint.port])).toEqual([]);
  } finally {
    peer.close();
    host.remove();
  }
}

function hasEvent(daemon: DaemonProcess, words: string): boolean {
  return daemon.log.some(({ message }) => message.includes(words));
}

describe("a Cisco-like peer and restarts", () => {
  beforeEach(() => facing(CISCO));
  afterEach(finish);

  test("B134 our daemon is killed: the peer says 'Peer reset' on the old connection, and the new one comes up", async () => {
    const first = await host.start(tunnel("initiator"));
    await peer.accept();
    await peer.answerCall();
    await first.untilUp(UP_MS);
    const old = { local: peer.ccid, remote: peer.remoteCcid };
    first.signal("SIGKILL");
    await first.exited;
    peer.restart();
    const second = await host.start(tunnel("initiator"));
    // Over UDP the words come from where they came before, and to the id of the daemon that is dead.
    const accepted = peer.expect("SCCRQ").then(async () => {
      const result = avp(1, `00010000${text("Peer reset")}`);
      peer.sayUnsequenced(STOPCCN, [result, avp(61, u32(old.local))], old.remote);
      peer.say(2, CISCO.sccrp({ ccid: peer.ccid }));
      await peer.expect("SCCCN");
    });
    await accepted;
    await peer.answerCall();
    expect(await second.untilUp(UP_MS)).toMatchObject({ last_error: "", dialect: "cisco" });
    expect(hasEvent(second, "internal")).toBe(false);
    expect(peer.faults).toEqual([]);
  });

  test("A31 the peer loses its power: its new SCCRQ replaces the old connection, with a StopCCN for that", async () => {
    const daemon = await host.start(tunnel("responder"));
    await peer.open();
    await peer.call(text("100"), "c0ffee01");
    const before = await daemon.untilUp(UP_MS);
    peer.restart();
    await peer.open();
    await peer.call(text("100"), "c0ffee02");
    const after = await daemon.untilTunnel("the new one", UP_MS, ({ remote_ccid, sessions }) => {
      return remote_ccid === peer.ccid && sessions[0]?.state === "established";
    });
    expect(after.local_ccid).not.toBe(before.local_ccid);
    expect(hasEvent(daemon, "replaced by a new control connection")).toBe(true);
  });

  test("the peer takes the session down and up again: CDN, and our next call", async () => {
    const daemon = await host.start(tunnel("initiator"));
    await peer.accept();
    await peer.answerCall("c0ffee01");
    await daemon.untilUp(UP_MS);
    const ids = [avp(63, u32(peer.sessionId)), avp(64, u32(peer.remoteSessionId))];
    peer.say(CDN, [avp(1, `00030000${text("shutdown")}`), ...ids]);
    const again = await peer.answerCall("c0ffee02");
    expect(again.avps.get("66")).toBe(text("100"));
    expect(await daemon.untilUp(UP_MS)).toMatchObject({ state: "established" });
    expect(hasEvent(daemon, "the peer closed the session (CDN): administrative")).toBe(true);
    expect(peer.faults).toEqual([]);
  });

  test("a StopCCN with an error that misleads is shown as it came, and the tunnel tries again", async () => {
    const daemon = await host.start(tunnel("initiator"));
    await peer.accept();
    const words = "unsupported mandatory vendor AVP";
    await peer.expect("ICRQ");
    peer.say(STOPCCN, [avp(1, `00020008${text(words)}`), avp(61, u32(peer.ccid))]);
    await daemon.untilTunnel("the error", UP_MS, ({ last_error }) => last_error.includes(words));
    peer.restart();
    await peer.accept();
    await peer.answerCall();
    await daemon.untilUp(UP_MS);
  });
});

describe("IIJ SEIL takes one Host Name and one Router ID", () => {
  const OURS = { 7: text("site-a"), 60: "7f4d0201" };

  afterEach(finish);

  test.each([
    ["another Host Name", { ...OURS, 7: text("site-b") }],
    ["another Router ID", { ...OURS, 60: "0a000002" }],
  ])("IIJ SEIL expects %s: it refuses to be opened and to open, which is said in words", async (_, expects) => {
    await facing({ ...SEIL, expects });
    const words = "the requester is not authorised (result 4)";
    const first = await host.start(tunnel("initiator"));
    await expect(peer.accept()).rejects.toThrow("IIJ SEIL: SCCRQ with AVP");
    await first.untilTunnel("the refusal", UP_MS, ({ last_error }) => last_error.includes(words));
    await first.stop("SIGTERM", UP_MS);
    peer.restart();
    const second = await host.start(tunnel("responder"));
    await expect(peer.open()).rejects.toThrow("IIJ SEIL: SCCRP with AVP");
    await second.untilTunnel("the refusal", UP_MS, ({ last_error }) => last_error.includes(words));
  });

  test("IIJ SEIL expects ours: it opens and is opened", async () => {
    await facing({ ...SEIL, expects: OURS });
    const first = await host.start(tunnel("initiator", 'digest = "none"'));
    await peer.accept();
    await first.untilTunnel("established", UP_MS, ({ state }) => state === "established");
    await first.stop("SIGTERM", UP_MS);
    peer.restart();
    const second = await host.start(tunnel("responder"));
    await peer.open();
    await second.untilTunnel("established", UP_MS, ({ state }) => state === "established");
    expect(peer.faults).toEqual([]);
  });
});

describe("go-l2tp's quiescent tunnels: HELLO and nothing else", () => {
  const QUIESCENT: Personality = { ...CISCO, make: "go-l2tp, quiescent", acknowledgeAfterMs: 0 };
  const IDS = { local: 1001, remote: 2002 };

  beforeEach(() => facing(QUIESCENT));
  afterEach(finish);

  test("hello-only: each end's HELLOs are answered, and silence is noticed", async () => {
    peer.talkAs(IDS.remote, IDS.local);
    const daemon = await host.start(`[tunnel.quiet]
mode = "hello-only"
peer = "${PEER}"
peer_port = ${peer.endpoint.port}
local = "${host.endpoint.address}"
local_port = ${host.endpoint.port}
local_tunnel_id = ${IDS.local}
remote_tunnel_id = ${IDS.remote}
hello_interval = "300ms"
retransmit = { initial = "200ms", retries = 2 }
[tunnel.quiet.session.s]
local_session_id = 1
remote_session_id = 2`);
    await peer.expect("HELLO");
    await daemon.untilTunnel("established", UP_MS, ({ state }) => state === "established");
    peer.say(6, []);
    await pause(400);
    // Its HELLO is acknowledged with a ZLB that names its Ns.
    expect(peer.acknowledged).toBeGreaterThan(0);
    peer.deaf = true;
    await daemon.untilTunnel("silence is noticed", UP_MS, ({ state }) => state === "idle");
    peer.deaf = false;
    await daemon.untilTunnel("established again", UP_MS, ({ state }) => state === "established");
    expect(peer.faults).toEqual([]);
  });
});
