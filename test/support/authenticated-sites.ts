import type { ControlMessage } from "../../src/avp/messages.ts";
import type {
  AuthenticationConfiguration,
  LcceConfiguration,
  TunnelConfiguration,
} from "../../src/control/configuration.ts";
import type { Endpoint } from "../../src/control/core.ts";
import { ascii, nameOnWire, nonceOnWire, signedByHand } from "./digest-by-hand.ts";
import { type Deviation, ScriptedPeer } from "./scripted-peer.ts";
import { A, B, lcce, session, tunnel } from "./sites.ts";
import { VirtualLink, type VirtualNode } from "./virtual-link.ts";

export const SECRET = ascii("correct horse");
export const OTHER_SECRET = ascii("battery staple");

export function authentication(more: Partial<AuthenticationConfiguration> = {}): AuthenticationConfiguration {
  return { secrets: [SECRET], digest: "md5", hidden: false, chapPassword: undefined, ...more };
}

export interface Sites {
  readonly link: VirtualLink;
  readonly a: VirtualNode;
  readonly b: VirtualNode;
  /** For the case that site A crashes. */
  readonly configurationOfA: LcceConfiguration;
}

/** Site A opens the connection to site B. Each calls for one session, "x" and "y". Nothing is started yet. */
export function sites(
  ofA: AuthenticationConfiguration,
  ofB: AuthenticationConfiguration,
  more: Partial<TunnelConfiguration> = {},
  seed = 1,
): Sites {
  const link = new VirtualLink();
  const common = { localPort: 1701, ...more };
  const x = (call: "initiator" | "responder") => session("x", { call, cookieSize: 4 });
  const y = (call: "initiator" | "responder") => session("y", { call });
  const toB = tunnel("to-b", { role: "initiator", peer: B, sessions: [x("initiator"), y("responder")], ...common });
  const toA = tunnel("to-a", { role: "responder", peer: A, sessions: [x("responder"), y("initiator")], ...common });
  const configurationOfA = lcce("site-a", { ...toB, authentication: ofA });
  const a = link.add(A, configurationOfA, seed);
  const b = link.add(B, lcce("site-b", { ...toA, authentication: ofB }), seed);
  return { link, a, b, configurationOfA };
}

/** Both sessions are up at both ends, with the ids and cookies that the other end assigned. */
export function agreed({ a, b }: Sites): boolean {
  if (a.raised.size !== 2 || b.raised.size !== 2 || a.tunnels.size !== 1 || b.tunnels.size !== 1) return false;
  return [...a.datapathSessions.values()].every((mine) => {
    const theirs = b.datapathSessions.get(mine.remoteSessionId);
    return (
      theirs?.remoteSessionId === mine.localSessionId &&
      theirs.interfaceName === mine.interfaceName &&
      String(theirs.localCookie) === String(mine.remoteCookie) &&
      String(theirs.remoteCookie) === String(mine.localCookie)
    );
  });
}

export function up(world: Sites, limitMs = 60_000): boolean {
  return world.link.runUntil(() => agreed(world), limitMs);
}

/** Messages that this node dropped because of their digest. */
export function forged(node: VirtualNode, index = 0): number {
  return node.core.save().tunnels[index]?.state.forged.count ?? -1;
}

/** A scripted peer that knows a secret: nonces in what it says first, a digest by hand in everything. */
export class SigningPeer extends ScriptedPeer {
  /** One digest each. */
  secrets: readonly Uint8Array[] = [SECRET];
  /** Digest Type: 0 HMAC-MD5, 1 HMAC-SHA-1. */
  digestType = 0;
  nonce: Uint8Array = ascii("a nonce by hand.");
  remoteNonce: Uint8Array = new Uint8Array(0);
  /** Otherwise it says everything as someone would who has not got the secret. */
  signing = true;

  override restart(): void {
    super.restart();
    this.nonce = this.nonce.map((octet) => octet ^ 0x15);
  }

  override deliver(from: Endpoint, to: Endpoint, octets: Uint8Array): void {
    this.remoteNonce = nonceOnWire(octets) ?? this.remoteNonce;
    super.deliver(from, to, octets);
  }

  override acknowledge(deviation: Deviation = {}): void {
    if (!this.signing) super.acknowledge(deviation);
    // Its Ns is the next one, and stays so (RFC 3931 4.2).
    else this.sendOctets(this.compose({ name: "ACK" }, { ns: this.ns, ...deviation }), deviation.from);
  }

  override sendOctets(octets: Uint8Array, from: Partial<Endpoint> = {}): void {
    super.sendOctets(this.signing ? this.signed(octets) : octets, from);
  }

  /** `prefix` is by default what both nonces call for. */
  signed(octets: Uint8Array, prefix?: Uint8Array): Uint8Array {
    const name = nameOnWire(octets);
    if (name === "ZLB") return octets;
    const nonces = name === "SCCRQ" ? new Uint8Array(0) : Uint8Array.from([...this.nonce, ...this.remoteNonce]);
    return signedByHand(octets, this.digestType, this.secrets, prefix ?? nonces);
  }

  override sccrq(more: Partial<ControlMessage<"SCCRQ">> = {}): ControlMessage<"SCCRQ"> {
    return super.sccrq({ controlMessageAuthenticationNonce: this.nonce, ...more });
  }
}

/** Our LCCE with a secret at B, and a peer by hand at A. Unless told otherwise, ours is a responder. */
export function facingSigned(more: Partial<TunnelConfiguration> = {}): {
  readonly link: VirtualLink;
  readonly node: VirtualNode;
  readonly peer: SigningPeer;
} {
  const link = new VirtualLink();
  const to = tunnel("to-peer", { peer: A, role: "responder", authentication: authentication(), ...more });
  const node = link.add(B, lcce("site-b", to), 3);
  const peer = new SigningPeer(link, A, { address: B, port: 1701 });
  link.start();
  return { link, node, peer };
}
