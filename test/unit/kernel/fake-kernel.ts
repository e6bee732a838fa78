import type { SessionRequest } from "../../../src/kernel/datapath.ts";
import type { KernelCalls } from "../../../src/kernel/kernel-operations.ts";
import type { L2tpAnswer, L2tpAttributes, L2tpCall } from "../../../src/kernel/l2tp-genl.ts";
import type { FoundRoute, Link, LinkAnswer, LinkCall, NamedCall } from "../../../src/kernel/links.ts";
import { PLAIN_SESSION } from "../../support/session-request.ts";

export function session(localSessionId: number, more: Partial<SessionRequest> = {}): SessionRequest {
  return {
    localControlConnectionId: 7,
    localSessionId,
    remoteSessionId: localSessionId + 1000,
    ...PLAIN_SESSION,
    interfaceName: `l2-${localSessionId}`,
    ...more,
  };
}

/** IPv6 addresses go when the device does, IPv4 stays (net.ipv6.conf.*.keep_addr_on_down is 0). */
function apply(device: Device, change: object): void {
  Object.assign(device, change);
  // It is a new port.
  if ("master" in change) device.isolated = false;
  if ("up" in change && change.up === false) device.addresses = device.addresses.filter((each) => !each.includes(":"));
}

/** Questions are not, nor what every device gets. */
function isNoted(call: LinkCall): boolean {
  return call.command !== "RTM_GETLINK" && !("alias" in call) && !("quiet" in call);
}

/** Of IPv4, as far as the tests need it: networks of 24 bits. IPv6 addresses stand each for itself. */
function networkOf(address: string): string {
  return address.includes(":") ? address : address.split(".").slice(0, 3).join(".");
}

/** `lower`: the number of the device that it is a sub-interface of, 0 for none. */
type Device = { -readonly [K in keyof Link]: Link[K] } & { addresses: string[]; lower: number; vlan: number };
type SubInterfaceCall = Extract<LinkCall, { readonly lower: number }>;

/** The kernel as far as tunnels, sessions and devices go, with the error numbers that Linux 6.1 gives. */
export class FakeKernel implements KernelCalls {
  /** "TUNNEL_CREATE 7", "SETLINK l2-1 mtu 1400": what was asked for, in order. */
  readonly log: string[] = [];
  /** How many calls came together, one number for each time. */
  readonly batches: number[] = [];
  readonly tunnels = new Set<number>();
  /** As they were made. */
  readonly #tunnelAttributes = new Map<number, L2tpAttributes>();
  readonly sessions = new Map<number, L2tpAttributes>();
  readonly devices = new Map<string, Device>();
  /** Destination to the number of the device. */
  readonly routes = new Map<string, number>();
  /** What questions for a route bring, where it is not what stands there. */
  found: FoundRoute | undefined;
  /** Devices of deleted tunnels stay, with their sessions, until `finishLeaving`. */
  slow = false;
  readonly leaving = new Set<number>();
  /** Of sessions that were deleted one by one the device stays until `finishLeaving`. */
  lingering = false;
  /** "RTM_SETLINK": error number by command, for as long as it stands here. */
  readonly broken = new Map<string, string>();
  /** "SESSION_CREATE": done, but the way back fails: nobody learns what became of it. */
  readonly unheard = new Set<string>();
  /** Module 8021q is there, or the kernel can load it. */
  hasVlans = true;
  /** Milliseconds that have passed, and what a deletion of a session takes. */
  clock = 0;
  deletionMs = 0;

  addDevice(name: string, kind = ""): void {
    const index = Math.max(0, ...[...this.devices.values()].map((device) => device.index)) + 1;
    this.devices.set(name, {
      index,
      name,
      up: false,
      mtu: 1446,
      master: 0,
      kind,
      alias: "",
      isolated: false,
      addresses: [],
      lower: 0,
      vlan: 0,
    });
  }

  finishLeaving(): void {
    for (const id of this.leaving) this.#removeSession(id);
    this.leaving.clear();
  }

  l2tp(calls: readonly L2tpCall[]): readonly L2tpAnswer[] {
    if (calls.length > 0) this.batches.push(calls.length);
    return calls.map(({ command, attributes }) => {
      const name = command.replace("L2TP_CMD_", "");
      this.log.push(`${name} ${attributes.sessionId ?? attributes.connectionId}`);
      const errno = this.broken.get(command) ?? this.#l2tp(name, attributes);
      if (this.unheard.has(name)) return { errno: "ENOBUFS", extendedAck: "", found: [], isUnknown: true };
      return { errno, extendedAck: "", found: errno === "" ? this.#found(name, attributes) : [] };
    });
  }

  #found(name: string, { sessionId = 0, connectionId = 0 }: L2tpAttributes): readonly L2tpAttributes[] {
    if (name === "SESSION_GET") return [this.sessions.get(sessionId) ?? []].flat();
    return name === "TUNNEL_GET" ? [this.#tunnelAttributes.get(connectionId) ?? []].flat() : [];
  }

  links(calls: readonly LinkCall[]): readonly LinkAnswer[] {
    if (calls.length > 0) this.batches.push(calls.length);
    return calls.map((call) => this.#link(call));
  }

  #link(call: LinkCall): LinkAnswer {
    const broken = this.broken.get(call.command);
    if (broken !== undefined) return { errno: broken, extendedAck: "out of order", link: undefined };
    if ("address" in call) return this.#changeAddress(call);
    if ("destination" in call) return this.#changeRoute(call);
    const { command, name, ...change } = call;
    if (isNoted(call)) this.log.push(`${command.slice(4)} ${name} ${Object.entries(change).flat().join(" ")}`);
    if ("lower" in call) return this.#addSubInterface(call);
    const device = this.#device(call);
    if (device === undefined) return { errno: "ENODEV", extendedAck: "", link: undefined };
    if (command === "RTM_SETLINK" && "index" in call) return this.#rename(device, name);
    if (command === "RTM_GETLINK") return { errno: "", extendedAck: "", link: { ...device } };
    if ("master" in call && !this.#isBridge(call.master))
      return { errno: "EOPNOTSUPP", extendedAck: "", link: undefined };
    apply(device, change);
    return { errno: "", extendedAck: "", link: undefined };
  }

  #device(call: NamedCall): Device | undefined {
    const index = "index" in call ? call.index : undefined;
    if (index === undefined) return this.devices.get(call.name);
    return [...this.devices.values()].find((each) => each.index === index);
  }

  /** 0: out of its bridge. */
  #isBridge(index: number): boolean {
    return index === 0 || [...this.devices.values()].some((each) => each.index === index && each.kind === "bridge");
  }

  #rename(device: Device, name: string): LinkAnswer {
    if (this.devices.has(name)) return { errno: "EEXIST", extendedAck: "", link: undefined };
    if (device.up) return { errno: "EBUSY", extendedAck: "", link: undefined };
    this.devices.delete(device.name);
    device.name = name;
    this.devices.set(name, device);
    return { errno: "", extendedAck: "", link: undefined };
  }

  #addSubInterface({ name, lower, vlan, mtu }: SubInterfaceCall): LinkAnswer {
    const below = [...this.devices.values()].find((each) => each.index === lower);
    const refusals: readonly (readonly [boolean, string])[] = [
      [!this.hasVlans, "EOPNOTSUPP"],
      [this.devices.has(name), "EEXIST"],
      [below === undefined, "ENODEV"],
      [mtu > (below?.mtu ?? 0), "EINVAL"],
    ];
    const errno = refusals.find(([applies]) => applies)?.[1] ?? "";
    if (errno === "") {
      this.addDevice(name, "vlan");
      Object.assign(this.devices.get(name) ?? {}, { lower, vlan, mtu });
    }
    return { errno, extendedAck: "", link: undefined };
  }

  #addRoute(index: number, destination: string): LinkAnswer {
    const device = [...this.devices.values()].find((each) => each.index === index);
    this.log.push(`NEWROUTE ${device?.name} ${destination}`);
    const errno = this.routes.has(destination) ? "EEXIST" : device?.up ? "" : "ENETDOWN";
    if (errno === "") this.routes.set(destination, index);
    return { errno, extendedAck: "", link: undefined };
  }

  #addAddress(index: number, address: string): LinkAnswer {
    const device = [...this.devices.values()].find((each) => each.index === index);
    this.log.push(`NEWADDR ${device?.name} ${address}`);
    if (device?.addresses.includes(address)) return { errno: "EEXIST", extendedAck: "", link: undefined };
    device?.addresses.push(address);
    return { errno: device === undefined ? "ENODEV" : "", extendedAck: "", link: undefined };
  }

  #changeAddress({ command, index, address }: Extract<LinkCall, { readonly address: string }>): LinkAnswer {
    return command === "RTM_NEWADDR" ? this.#addAddress(index, address) : this.#removeAddress(index, address);
  }

  #changeRoute(call: Extract<LinkCall, { readonly destination: string }>): LinkAnswer {
    const { command, destination } = call;
    if (command === "RTM_GETROUTE") return this.#findRoute(destination);
    const { index } = call;
    return command === "RTM_NEWROUTE" ? this.#addRoute(index, destination) : this.#removeRoute(index, destination);
  }

  /** Routing tables know no two routes to one destination. */
  #findRoute(destination: string): LinkAnswer {
    const index = this.routes.get(destination);
    if (index === undefined) return { errno: "ENETUNREACH", extendedAck: "", link: undefined };
    const prefixLength = Number(destination.split(" ")[0]?.split("/")[1]);
    return { errno: "", extendedAck: "", link: undefined, route: this.found ?? { index, prefixLength, table: 254 } };
  }

  /** With the first address of a network the others of it go, with the last one of IPv4 all routes. */
  #removeAddress(index: number, address: string): LinkAnswer {
    const device = [...this.devices.values()].find((each) => each.index === index);
    this.log.push(`DELADDR ${device?.name} ${address}`);
    if (device?.addresses.includes(address) !== true)
      return { errno: "EADDRNOTAVAIL", extendedAck: "", link: undefined };
    const network = networkOf(address);
    const isFirst = device.addresses.find((each) => networkOf(each) === network) === address;
    device.addresses = device.addresses.filter((each) => each !== address && !(isFirst && networkOf(each) === network));
    if (device.addresses.every((each) => each.includes(":"))) {
      for (const [destination, to] of this.routes) if (to === index) this.routes.delete(destination);
    }
    return { errno: "", extendedAck: "", link: undefined };
  }

  #removeRoute(index: number, destination: string): LinkAnswer {
    this.log.push(`DELROUTE ${destination}`);
    const errno = this.routes.get(destination) === index ? "" : "ESRCH";
    if (errno === "") this.routes.delete(destination);
    return { errno, extendedAck: "", link: undefined };
  }

  #l2tp(name: string, attributes: L2tpAttributes): string {
    const { connectionId = 0, sessionId = 0 } = attributes;
    switch (name) {
      case "TUNNEL_CREATE":
        if (this.tunnels.has(connectionId)) return "EEXIST";
        this.tunnels.add(connectionId);
        this.#tunnelAttributes.set(connectionId, attributes);
        return "";
      case "TUNNEL_DELETE":
        return this.#deleteTunnel(connectionId);
      case "SESSION_CREATE":
        return this.#createSession(attributes);
      case "SESSION_DELETE":
        this.clock += this.deletionMs;
        if (!this.sessions.has(sessionId)) return "ENODEV";
        if (this.lingering) this.leaving.add(sessionId);
        else this.#removeSession(sessionId);
        return "";
      case "TUNNEL_GET":
        return this.tunnels.has(connectionId) ? "" : "ENODEV";
      default:
        return this.sessions.has(sessionId) ? "" : "ENODEV";
    }
  }

  #deleteTunnel(connectionId: number): string {
    if (!this.tunnels.delete(connectionId)) return "ENODEV";
    for (const [id, attributes] of this.sessions) {
      if (attributes.connectionId === connectionId) this.leaving.add(id);
    }
    if (!this.slow) this.finishLeaving();
    return "";
  }

  #createSession(attributes: L2tpAttributes): string {
    const { connectionId = 0, sessionId = 0, interfaceName = "" } = attributes;
    if (!this.tunnels.has(connectionId)) return "ENODEV";
    if (this.sessions.has(sessionId) || this.devices.has(interfaceName)) return "EEXIST";
    this.sessions.set(sessionId, attributes);
    this.addDevice(interfaceName);
    return "";
  }

  /** Its device with the sub-interfaces over it. */
  #removeSession(id: number): void {
    const name = this.sessions.get(id)?.interfaceName ?? "";
    const index = this.devices.get(name)?.index;
    for (const each of this.devices.values()) if (each.lower === index) this.devices.delete(each.name);
    this.devices.delete(name);
    this.sessions.delete(id);
  }
}
