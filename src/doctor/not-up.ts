import { type Finding, finding } from "./finding.ts";
import { type Plan, sessionsOf } from "./plan.ts";

/** A tunnel that the running daemon has not up, or a session of one that is up. */
export interface NotUp {
  readonly tunnel: string;
  /** `undefined`: it is the tunnel itself that is not up. */
  readonly session: string | undefined;
  /** The RFC's name. */
  readonly state: string;
  /** As `show` tells it; "" where nothing went wrong yet. */
  readonly reason: string;
}

/** What the daemon has of a tunnel and its sessions, by their names. */
export interface KnownTunnel {
  readonly name: string;
  readonly sessions: readonly string[];
}

/** What the daemon knows better than whoever looks at the machine; each with what to do about it. */
export function checkNotUp(notUp: readonly NotUp[], known: readonly KnownTunnel[], plan: Plan): Finding[] {
  return [...notUp.map((each) => checkOne(each, plan)), ...checkUnknown(known, plan)];
}

function checkOne({ tunnel, session, state, reason }: NotUp, plan: Plan): Finding {
  const path = session === undefined ? tunnel : `${tunnel}/${session}`;
  const check = `${session === undefined ? "tunnel" : "session"} ${path}`;
  const found = `${state}, not up: ${reason === "" ? waitingFor(tunnel, session, plan) : reason}`;
  return finding(check, "warning", found, adviceFor(reason).replaceAll("PATH", path).replaceAll("TUNNEL", tunnel));
}

function waitingFor(name: string, session: string | undefined, { tunnels }: Plan): string {
  const tunnel = tunnels.find((each) => each.name === name);
  const waits = session === undefined && tunnel?.role === "responder";
  return waits ? "the peer has not opened it" : "nothing has gone wrong yet";
}

/** What the words of a reason ask for; the first row that fits. */
const ADVICE: readonly (readonly [words: RegExp, advice: string])[] = [
  [/^closed by the administrator/, "l2tpv3-lcc open PATH, when it is to come up"],
  [
    /digest|another secret/,
    "compare secret and digest of both ends, and let UDP 1701 (or IP protocol 115) through both ways",
  ],
  [/no answer/, "let UDP 1701 (or IP protocol 115) through in both directions, and look whether the daemon runs there"],
  [/requester is not authorised/, "give the peer a tunnel for this address, host name and Router ID"],
  [/Challenge/, "give both ends the same chap_password, or neither of them one"],
  [/forwarder|Remote End ID/, "give both ends the same remote_end_id"],
  [/pseudowire/i, "give both ends the same pseudowire, and vlan where that is one"],
  [/exists already/, "remove that interface (of another daemon, or of ip l2tp), or configure another name"],
  [/MTU below 1280/, "raise the MTU of the path, or set mtu = 1280"],
  [/MTU/, "give both ends the same mtu"],
  [/IPsec/, "see IPsec of tunnel TUNNEL below"],
  [/another program has this address and port/, "stop the other daemon or L2TP server, see the ports below"],
];

function adviceFor(reason: string): string {
  const found = ADVICE.find(([words]) => words.test(reason));
  return found?.[1] ?? "see what is told below; l2tpv3-lcc show tunnel TUNNEL and trace TUNNEL tell more";
}

/** The file has changed since the daemon read it. */
function checkUnknown(known: readonly KnownTunnel[], plan: Plan): Finding[] {
  const names = new Set(known.flatMap(({ name, sessions }) => [name, ...sessions.map((each) => `${name}/${each}`)]));
  const tunnels = plan.tunnels.filter(({ name }) => !names.has(name));
  const sessions = sessionsOf(plan).filter(({ name, tunnel }) => names.has(tunnel.name) && !names.has(name));
  return [
    ...tunnels.map(({ name }) => unknown(`tunnel ${name}`)),
    ...sessions.map(({ name }) => unknown(`session ${name}`)),
  ];
}

function unknown(check: string): Finding {
  return finding(check, "warning", "the daemon that runs does not know it", "l2tpv3-lcc reload");
}
