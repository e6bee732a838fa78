import type { Findings } from "./findings.ts";
import type { IpSession, IpState, IpTunnel } from "./ip-state.ts";
import type { Line } from "./source.ts";

/** A tunnel or session as `ip -json l2tp show` has it. */
export type Shown = Readonly<Record<string, unknown>>;
type Reader = (value: unknown) => string | number | boolean | undefined;

const number: Reader = (value) => (typeof value === "number" ? value : undefined);
const text: Reader = (value) => (typeof value === "string" ? value : undefined);
const truth: Reader = (value) => (typeof value === "boolean" ? value : undefined);
const cookie: Reader = (value) =>
  typeof value === "string" && /^(?:[0-9a-f]{8}){1,2}$/i.test(value) ? value : undefined;
const encap: Reader = (value) =>
  typeof value === "string" && ["UDP", "IP"].includes(value) ? value.toLowerCase() : undefined;
/** `"send_seq": null` is how iproute2 says that there are some. */
const present: Reader = () => true;

type Field<T> = readonly [field: keyof T, read: Reader];

/** The keys of `ip -json l2tp show tunnel`, and what they are here. */
const TUNNEL_FIELDS: Readonly<Record<string, Field<IpTunnel>>> = {
  tunnel_id: ["tunnelId", number],
  peer_tunnel: ["peerTunnelId", number],
  encap: ["encap", encap],
  local: ["local", text],
  peer: ["remote", text],
  local_port: ["localPort", number],
  peer_port: ["peerPort", number],
  checksum: ["checksum", truth],
  checksum_tx: ["checksumTx", truth],
  checksum_rx: ["checksumRx", truth],
};

/** The same of `ip -json l2tp show session`, which says nothing of the L2-Specific Sublayer. */
const SESSION_FIELDS: Readonly<Record<string, Field<IpSession>>> = {
  session_id: ["sessionId", number],
  tunnel_id: ["tunnelId", number],
  peer_session_id: ["peerSessionId", number],
  interface: ["interface", text],
  cookie: ["cookie", cookie],
  peer_cookie: ["peerCookie", cookie],
  reorder_timeout: ["reorderTimeout", number],
  send_seq: ["sendSeq", present],
  recv_seq: ["recvSeq", present],
};

/** What the tunnel has said already. */
const REPEATED = ["peer_tunnel_id"];

export function takeShown(shown: Shown, line: Line, state: IpState, findings: Findings): void {
  if ("session_id" in shown) {
    const thing = fieldsOf<IpSession>(shown, SESSION_FIELDS, line, findings);
    const { sessionId, tunnelId } = thing;
    if (sessionId === undefined || tunnelId === undefined) findings.unknown(line);
    else state.session({ sendSeq: false, recvSeq: false, reorderTimeout: 0, ...thing, sessionId, tunnelId }, line);
    return;
  }
  const thing = fieldsOf<IpTunnel>(shown, TUNNEL_FIELDS, line, findings);
  if (thing.tunnelId === undefined) findings.unknown(line, ": neither a tunnel nor a session");
  else state.tunnel({ ...thing, tunnelId: thing.tunnelId }, line);
}

function fieldsOf<T>(
  shown: Shown,
  fields: Readonly<Record<string, Field<T>>>,
  line: Line,
  findings: Findings,
): Partial<T> {
  const found: Partial<Record<keyof T, unknown>> = {};
  for (const [key, value] of Object.entries(shown)) {
    if (REPEATED.includes(key)) continue;
    const field = Object.hasOwn(fields, key) ? fields[key] : undefined;
    const read = field?.[1](value);
    if (field === undefined || read === undefined) findings.unknown({ ...line, text: key }, `: the key ${key}`);
    else found[field[0]] = read;
  }
  // Each field has the reader of its own type.
  return found as Partial<T>;
}
