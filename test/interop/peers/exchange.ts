import { deepStrictEqual, strictEqual } from "node:assert/strict";
import type { TunnelReport } from "../../../src/daemon/show-report.ts";
import { type DaemonProcess, until } from "../../support/daemon-process.ts";
import { ascii, judge } from "../../support/digest-by-hand.ts";
import type { SeenDatagram } from "../../support/pcap.ts";
import { type Case, titleOf } from "./cases.ts";
import { DaemonOnLoopback } from "./daemon-on-loopback.ts";
import { ipSocket } from "./ip-socket.ts";
import { udpSocket } from "./peer-socket.ts";
import { text } from "./personality.ts";
import { MIKROTIK, SEIL } from "./small-routers.ts";
import { type HeardMessage, WirePeer } from "./wire-peer.ts";

export const SECRET = "correct horse";
const HOST = "127.77.0.1";
const COOKIE = "c0ffee0102030405";
const LAST_WORDS_MS = 30_000;

/** What our daemon has said of a connection and of its call. */
export interface Said {
  readonly connection: HeardMessage;
  readonly call: HeardMessage;
}

export interface ExchangeOptions {
  readonly cases: readonly Case[];
  readonly over: "udp" | "ip";
  /** How long it may take until every session is up. */
  readonly upMs: number;
}

/** One of our daemons with a tunnel for each case, and as many scripted peers, each at an address of its own. */
export class Exchange {
  readonly cases: readonly Case[];
  readonly host: DaemonOnLoopback;
  readonly peers: readonly WirePeer[];
  /** As it was when everything had been set up. */
  tunnels: readonly TunnelReport[] = [];
  readonly #options: ExchangeOptions;
  readonly #daemon: DaemonProcess;
  #said: readonly PromiseSettledResult<Said>[] = [];
  /** The Result Codes of the StopCCNs at the end, in hex. */
  #goodbyes: readonly string[] = [];

  private constructor(
    options: ExchangeOptions,
    host: DaemonOnLoopback,
    peers: readonly WirePeer[],
    daemon: DaemonProcess,
  ) {
    this.#options = options;
    this.cases = options.cases;
    this.host = host;
    this.peers = peers;
    this.#daemon = daemon;
  }

  static async start(options: ExchangeOptions): Promise<Exchange> {
    const { cases, over } = options;
    const host = over === "udp" ? await DaemonOnLoopback.at(HOST) : DaemonOnLoopback.overIp(HOST);
    const peers: WirePeer[] = [];
    for (const [index, each] of cases.entries()) {
      const address = addressOf(index);
      const socket = over === "udp" ? await udpSocket(address) : ipSocket(address);
      const common = { personality: each.peer, daemon: host.endpoint, hidesCookie: each.hidden === true };
      peers.push(new WirePeer(socket, { ...common, ...authenticationOf(each) }));
    }
    const tunnels = cases.map((each, index) => tunnelOf(each, index, host, peers[index] as WirePeer));
    return new Exchange(options, host, peers, await host.start(tunnels.join("\n")));
  }

  /** Every connection and every call, all at once. Failures are told by `verify`. */
  async setUp(): Promise<void> {
    this.#said = await Promise.allSettled(this.peers.map((peer, index) => setUp(peer, this.cases[index] as Case)));
    const isUp = (tunnel: TunnelReport) => tunnel.sessions[0]?.state === "established";
    const look = async () => {
      await this.look();
      return this.tunnels.length > 0 && this.tunnels.every(isUp);
    };
    await until("every session is up", this.#options.upMs, look).catch(() => undefined);
  }

  async look(): Promise<void> {
    this.tunnels = (await this.#daemon.show())?.tunnels ?? [];
  }

  /** SIGTERM, and what each peer hears of it. */
  async end(): Promise<void> {
    const farewells = this.peers.map((peer) => peer.expect("StopCCN").then(({ avps }) => avps.get("1") ?? ""));
    await this.#daemon.stop("SIGTERM", LAST_WORDS_MS);
    this.#goodbyes = (await Promise.allSettled(farewells)).map((each) => ("value" in each ? each.value : "nothing"));
  }

  close(): void {
    for (const peer of this.peers) peer.close();
    this.host.remove();
  }

  /** Throws what went wrong in the setup. */
  said(index: number): Said {
    const settled = this.#said[index];
    if (settled?.status === "fulfilled") return settled.value;
    throw settled?.reason;
  }

  /** Throws an AssertionError where the case did not go as it ought to, from its SCCRQ to its StopCCN. */
  verify(index: number): void {
    const each = this.cases[index] as Case;
    const { call } = this.said(index);
    const { state, dialect, last_error, sessions } = this.tunnels[index] as TunnelReport;
    deepStrictEqual({ state, dialect, last_error }, { state: "established", dialect: each.dialect, last_error: "" });
    const session = sessions[0];
    deepStrictEqual(
      [session?.state, session?.local_cookie_size, session?.remote_cookie_size, session?.l2_sublayer],
      ["established", each.cookie, each.cookie, hasSublayer(each) ? "default" : "none"],
    );
    deepStrictEqual(session?.circuit_status, { local: "up", remote: "up" });
    strictEqual((call.avps.get("65") ?? "").length, 2 * each.cookie);
    if (each.opens === "we") strictEqual(call.avps.get("66"), text("100"));
    deepStrictEqual(this.peers[index]?.faults, []);
    // SIGTERM: shutting down.
    strictEqual(this.#goodbyes[index]?.slice(0, 4), "0006");
    this.#verifyDigests(index);
  }

  /** By hand: every message of the case has the digest that it ought to have, and no other. */
  #verifyDigests(index: number): void {
    const { digest, integrity } = this.cases[index] as Case;
    const transcript = (this.peers[index] as WirePeer).transcript;
    const judged = judge(
      transcript.map((each, number) => ({ ...each, number, at: 0 })),
      [ascii(integrity === true ? "" : SECRET)],
    );
    // An acknowledgement without a secret may be a ZLB, which has no room for it.
    const due = digest === undefined ? [] : [`${digest} 0`];
    for (const { name, digests } of judged) {
      deepStrictEqual([name, digests], [name, integrity === true && name === "ZLB" ? [] : due]);
    }
  }

  /** What has been said with a secret, or in all other cases. */
  transcripts(signed: boolean): readonly SeenDatagram[] {
    const isSigned = ({ digest, integrity }: Case) => digest !== undefined && integrity !== true;
    return this.peers.flatMap((peer, index) => (isSigned(this.cases[index] as Case) === signed ? peer.transcript : []));
  }

  title(index: number): string {
    return titleOf(this.cases[index] as Case);
  }
}

export function cookieOf({ cookie }: Case): string {
  return COOKIE.slice(0, 2 * cookie);
}

export function hasSublayer({ peer }: Case): boolean {
  return peer === MIKROTIK;
}

function addressOf(index: number): string {
  return `127.77.1.${index + 1}`;
}

function authenticationOf({ digest, integrity }: Case) {
  return digest === undefined ? {} : { authentication: { secret: ascii(integrity === true ? "" : SECRET), digest } };
}

function tunnelOf(each: Case, index: number, host: DaemonOnLoopback, peer: WirePeer): string {
  const { port } = peer.endpoint;
  const keys = [
    `[tunnel.t${index}]`,
    `peer = "${addressOf(index)}"`,
    `local = "${host.endpoint.address}"`,
    `role = "${each.opens === "we" ? "initiator" : "responder"}"`,
    ...(port === 0 ? ['encapsulation = "ip"'] : []),
    ...(port !== 0 && each.opens === "we" ? [`peer_port = ${port}`, "local_port = 0"] : []),
    `digest = "${each.digest ?? "none"}"`,
    ...(each.digest === undefined || each.integrity === true ? [] : [`secret = "${SECRET}"`]),
    ...(each.hidden === true ? ["hidden = true"] : []),
    ...(each.peer === SEIL ? ['peer_hostname = "seil-osaka"', 'peer_router_id = "10.0.0.1"'] : []),
    each.tunnel ?? "",
    `[tunnel.t${index}.session.s]`,
    'remote_end_id = "100"',
    `cookie_size = ${each.cookie}`,
    each.session ?? "",
  ];
  return keys.join("\n");
}

/** The whole setup from the peer's side. */
async function setUp(peer: WirePeer, each: Case): Promise<Said> {
  const cookie = cookieOf(each);
  if (each.opens === "peer") {
    const connection = await peer.open();
    return { connection, call: await peer.call(each.endId ?? text("100"), cookie) };
  }
  const connection = await peer.accept();
  return { connection, call: await peer.answerCall(cookie) };
}
