import { sameManner } from "./authentication.ts";
import type { SessionConfiguration, TunnelConfiguration } from "./configuration.ts";
import { same } from "./same.ts";

/**
 * What becomes of a tunnel or session that is configured otherwise than before. "anew": only another control connection, or
 * another call, can have it. "in-place": whoever is up goes on with it, and the peer hears nothing of it but what it has to.
 * "next": the same, but it counts from the next control connection on.
 */
export type Manner = "anew" | "in-place" | "next";

type TunnelKey = Exclude<keyof TunnelConfiguration, "name" | "sessions">;
type SessionKey = Exclude<keyof SessionConfiguration, "name">;

const TUNNEL_MANNERS: Readonly<Record<TunnelKey, Manner>> = {
  static: "anew",
  dialect: "anew",
  leftToDialect: "next",
  role: "anew",
  peer: "anew",
  peerHostname: "anew",
  peerRouterId: "anew",
  peerPort: "anew",
  local: "anew",
  localPort: "anew",
  encapsulation: "anew",
  df: "anew",
  tos: "anew",
  ttl: "anew",
  udpChecksum: "anew",
  freebind: "next",
  netns: "anew",
  bindDevice: "anew",
  requireIpsec: "anew",
  authentication: "in-place",
  helloIntervalMs: "in-place",
  retransmit: "in-place",
  receiveWindow: "next",
  reconnect: "in-place",
};

const SESSION_MANNERS: Readonly<Record<SessionKey, Manner>> = {
  static: "anew",
  remoteEndId: "anew",
  pseudowire: "anew",
  vlan: "anew",
  call: "anew",
  callType: "anew",
  attachmentGroup: "anew",
  localEndId: "anew",
  circuit: "in-place",
  interfaceName: "anew",
  leftToDialect: "anew",
  cookieSize: "anew",
  l2Sublayer: "anew",
  sequencing: "anew",
  reorderTimeoutMs: "anew",
  sequenceWindow: "anew",
  resyncAfter: "anew",
  mtu: "anew",
  bridge: "in-place",
  isolated: "in-place",
  addresses: "in-place",
  routes: "in-place",
};

/** A part of a configuration that is not as it was. */
export interface Change<K extends string = string> {
  readonly key: K;
  readonly manner: Manner;
}

/** Of a tunnel by itself, without its sessions. */
export function tunnelChanges(before: TunnelConfiguration, after: TunnelConfiguration): readonly Change<TunnelKey>[] {
  return changed(TUNNEL_MANNERS, before, after).map(({ key, manner }) => {
    const isNext = key === "authentication" && !sameManner(before.authentication, after.authentication);
    return { key, manner: isNext ? "next" : manner };
  });
}

export function sessionChanges(
  before: SessionConfiguration,
  after: SessionConfiguration,
): readonly Change<SessionKey>[] {
  return changed(SESSION_MANNERS, before, after).map(({ key, manner }) => {
    const isQuiet = key === "mtu" && !isTold(before) && !isTold(after);
    return { key, manner: isQuiet ? "in-place" : manner };
  });
}

/** The MTU is an AVP of calls (RFC 4667 4.3), and "auto" is found out when the device is made. */
function isTold(session: SessionConfiguration): boolean {
  return session.static === undefined || session.mtu === "auto";
}

function changed<K extends string>(
  manners: Readonly<Record<K, Manner>>,
  before: Readonly<Partial<Record<K, unknown>>>,
  after: Readonly<Partial<Record<K, unknown>>>,
): readonly Change<K>[] {
  const keys = Object.keys(manners) as K[];
  return keys.flatMap((key) => (same(before[key], after[key]) ? [] : [{ key, manner: manners[key] }]));
}

/** Whether it has to end first. */
export function isAnew(changes: readonly Change[]): boolean {
  return changes.some(({ manner }) => manner === "anew");
}
