import { isIPv4 } from "node:net";
import { isUnicast } from "../config/format.ts";
import type { CiscoConfig, Xconnect } from "./cisco-config.ts";
import type { ClassFacts, PseudowireFacts } from "./cisco-facts.ts";
import { interfaceKey } from "./cisco-interfaces.ts";
import { authenticationEntries } from "./cisco-secrets.ts";
import { type DraftSession, type DraftTunnel, entry, Names, type SessionEntry, type TunnelEntry } from "./draft.ts";
import type { Findings } from "./findings.ts";

/** Xconnects that share one control connection, or are typed in one like the other. */
interface Group {
  readonly xconnects: readonly [Xconnect, ...Xconnect[]];
  readonly pseudowire: PseudowireFacts;
  readonly control: ClassFacts;
  readonly isManual: boolean;
  /** The router's address; `undefined`: the configuration does not tell. */
  readonly router: string | undefined;
}

const DIALECTS = { l2tpv3: "cisco", l2tpv3ietf: "cisco-ietf", none: undefined } as const;

/** Makes tunnels out of the configurations of routers: for each the other end of its xconnects, which is this end. */
export class Mirror {
  readonly #findings: Findings;
  readonly #names = new Names();
  /** By what the daemon tells peers apart. */
  readonly #selectors = new Set<string>();
  #staticTunnels = 0;

  constructor(findings: Findings) {
    this.#findings = findings;
  }

  tunnelsFor(config: CiscoConfig): readonly DraftTunnel[] {
    return groupsOf(config, this.#findings).map((group) => this.#tunnel(group, config));
  }

  #tunnel(group: Group, config: CiscoConfig): DraftTunnel {
    const [{ peer: local, interfaceName }] = group.xconnects;
    const { pseudowire, isManual } = group;
    const name = this.#names.take(
      group.control.hostname ?? config.hostname ?? `router-${group.router ?? interfaceName}`,
    );
    const entries = [
      ...(isManual ? this.#typedIn() : entry("dialect", DIALECTS[pseudowire.protocol ?? "l2tpv3"])),
      ...this.#peer(group, config, name),
      ...entry("local", local, "the peer of the router's xconnect: this machine"),
      ...entry("encapsulation", "ip"),
      ...(isManual ? [] : controlEntries(group.control, name, this.#findings)),
      ...entry("df", pseudowire.df),
      ...entry("tos", pseudowire.tos),
      ...entry("ttl", pseudowire.ttl),
    ];
    const sessionNames = new Names();
    const sessions = group.xconnects.map((each) => sessionFor(each, group, sessionNames, this.#findings));
    return { name, notes: [], entries, sessions };
  }

  /** Over IP data packets carry Session IDs alone: the ids of the tunnel only have to be there, and be different. */
  #typedIn(): readonly TunnelEntry[] {
    this.#staticTunnels += 1;
    return [
      ...entry("mode", "static"),
      ...entry("local_tunnel_id", this.#staticTunnels, "any number: over IP the packets do not carry it"),
      ...entry("remote_tunnel_id", this.#staticTunnels),
    ];
  }

  /** Where the address is not known, a router that tells its name can open the control connection itself. */
  #peer(
    { router, control, xconnects, pseudowire, isManual }: Group,
    config: CiscoConfig,
    name: string,
  ): readonly TunnelEntry[] {
    const hostname = control.hostname ?? config.hostname;
    const said = entry("peer_hostname", isManual ? undefined : control.hostname);
    const where = pseudowire.localInterface ?? "interface towards this machine";
    if (router !== undefined) {
      const known = this.#isKnown([router, control.hostname, xconnects[0].peer]);
      const note =
        "the router has another control connection with this end: this one cannot be told apart unless opened here";
      return [
        ...entry("peer", router, `${where} of the router`),
        ...said,
        ...entry("role", known && !isManual ? "initiator" : undefined, note),
      ];
    }
    if (!isManual && hostname !== undefined && !this.#isKnown([undefined, hostname, xconnects[0].peer])) {
      this.#findings.request(
        `tunnel ${name}: name the address of the router's ${where} as peer, so that this end can open too`,
      );
      const note = "guessed: the router's host name; its address is not in its configuration";
      return [...entry("role", "responder"), ...entry("peer_hostname", hostname, note)];
    }
    this.#findings.request(`tunnel ${name}: peer has to be the address of the router's ${where}`);
    return [...entry("peer", `${name}.invalid`, "PUT the router's address here"), ...said];
  }

  #isKnown(selectors: readonly (string | undefined)[]): boolean {
    const identity = JSON.stringify(selectors);
    const known = this.#selectors.has(identity);
    this.#selectors.add(identity);
    return known;
  }
}

/** Cisco shares a control connection among the xconnects between the same addresses with the same l2tp-class. */
function groupsOf(config: CiscoConfig, findings: Findings): readonly Group[] {
  const groups = new Map<string, [Xconnect, ...Xconnect[]]>();
  for (const xconnect of config.xconnects) {
    if (!isComplete(xconnect, findings)) continue;
    const { peer, manual, pseudowire } = xconnect;
    const { localInterface, className, protocol } = pseudowire;
    const key = JSON.stringify([peer, manual === undefined, localInterface, className, protocol]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [xconnect]);
    else group.push(xconnect);
  }
  return [...groups.values()].map((xconnects) => groupOf(xconnects, config, findings));
}

function isComplete({ line, peer, manual, pseudowire: { protocol } }: Xconnect, findings: Findings): boolean {
  if (!isUnicast(peer)) findings.left(line, `${peer} is no address of this machine`);
  else if (manual === undefined && protocol === "none") findings.left(line, "protocol none needs manual and l2tp id");
  else if (manual !== undefined && !(manual.localSessionId && manual.remoteSessionId)) {
    findings.left(line, "manual needs l2tp id with two numbers from 1");
  } else return true;
  return false;
}

function groupOf(xconnects: readonly [Xconnect, ...Xconnect[]], config: CiscoConfig, findings: Findings): Group {
  const [first, ...others] = xconnects;
  const { pseudowire, peer, line } = first;
  const control = pseudowire.className === undefined ? {} : config.classes.get(pseudowire.className);
  if (control === undefined) findings.left(line, `there is no l2tp-class ${pseudowire.className}`);
  for (const { line: other, pseudowire: own } of others) {
    const differing = (["tos", "ttl", "df"] as const).filter((key) => own[key] !== pseudowire[key]);
    if (differing.length > 0)
      findings.left(other, `${differing.join(", ")} of the tunnel's first xconnect hold for all`);
  }
  const addresses = config.interfaces.get(interfaceKey(pseudowire.localInterface ?? ""))?.addresses ?? [];
  const router = addresses.find((address) => isUnicast(address) && isIPv4(address) === isIPv4(peer));
  return { xconnects, pseudowire, control: control ?? {}, isManual: first.manual !== undefined, router };
}

function controlEntries(control: ClassFacts, tunnel: string, findings: Findings): readonly TunnelEntry[] {
  const { hello, retransmit, receiveWindow } = control;
  return [
    ...authenticationEntries(control, tunnel, findings),
    ...entry("hello_interval", hello === undefined ? undefined : `${hello}s`),
    ...entry("retransmit", retransmit),
    ...entry("receive_window", receiveWindow),
  ];
}

function sessionFor(xconnect: Xconnect, group: Group, names: Names, findings: Findings): DraftSession {
  const { vcId, interfaceName, circuit, manual } = xconnect;
  const about = circuit.description === undefined ? "" : `, "${circuit.description}"`;
  const entries: readonly SessionEntry[] = [
    ...(manual === undefined ? negotiated(xconnect, group) : typedIn(manual)),
    ...entry("pseudowire", circuit.vlan === undefined ? undefined : "vlan"),
    ...entry("vlan", circuit.vlan),
    ...layering(xconnect, findings),
  ];
  const notes = [`${interfaceName} of the router${about}. To join a LAN at this end: bridge = "br0".`];
  return { name: names.take(`vc${vcId}`), notes, entries };
}

function negotiated({ vcId }: Xconnect, { control }: Group): readonly SessionEntry[] {
  const note = control.cookieSize === undefined ? "as the router has none; 8 keeps strangers' packets out better" : "";
  return [...entry("remote_end_id", String(vcId), "the VC ID"), ...entry("cookie_size", control.cookieSize ?? 0, note)];
}

function typedIn(manual: NonNullable<Xconnect["manual"]>): readonly SessionEntry[] {
  const note = "guessed: decimal there, high word first; see show l2tun session all";
  return [
    ...entry("local_session_id", manual.remoteSessionId, "remote there"),
    ...entry("remote_session_id", manual.localSessionId, "local there"),
    ...entry("local_cookie", manual.remoteCookie, note),
    ...entry("remote_cookie", manual.localCookie, note),
  ];
}

/** `sequencing` here is what the peer has to number. */
function layering({ pseudowire: { sequencing }, line }: Xconnect, findings: Findings): readonly SessionEntry[] {
  if (sequencing === undefined) return [];
  if (sequencing !== "receive") return [...entry("l2_sublayer", "default"), ...entry("sequencing", "all")];
  findings.needless(line, "sequencing receive: the router asks for sequence numbers itself");
  return entry("l2_sublayer", "default");
}
