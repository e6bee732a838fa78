import type { ModuleCondition } from "../kernel/module-condition.ts";
import { type Finding, finding, hidden, ok } from "./finding.ts";
import type { Plan } from "./plan.ts";

export interface KernelFacts {
  /** `uname -r`. */
  readonly release: string;
  /** Asked only where its module is loaded: asking would load it. `undefined`: could not be asked. */
  readonly hasL2tp: boolean | undefined;
  readonly modules: ReadonlyMap<string, ModuleCondition>;
  /** Why no TAP device can be made; `undefined`: it can. */
  readonly userspaceFlaw: string | undefined;
  /** Effective capabilities, bit by bit. */
  readonly capabilities: bigint;
  /** There is a bridge, wherever the kernel has its code. */
  readonly bridgeSeen: boolean;
}

/** Kernel 6.12 is where deleting sessions got fast; all from 4.x on can do what is needed. */
const FAST_DELETES = [6, 12] as const;
/** From 5.7 on everyone may bind a socket to a device (SO_BINDTODEVICE) that is not bound to one yet. */
const BINDING_FOR_ALL = [5, 7] as const;

export function checkKernel(facts: KernelFacts, plan: Plan): Finding[] {
  return [checkRelease(facts), checkL2tp(facts, plan), ...checkModules(facts, plan), checkUserspace(facts, plan)];
}

function checkRelease({ release }: KernelFacts): Finding {
  if (isFrom(release, FAST_DELETES)) return ok("kernel", `Linux ${release}`);
  return finding(
    "kernel",
    "note",
    `Linux ${release}, which takes about 37 ms to delete a session`,
    "with hundreds of sessions take a kernel from 6.12 on",
  );
}

function isFrom(release: string, [first, second]: readonly [number, number]): boolean {
  const [major = 0, minor = 0] = release.split(/[.-]/).map(Number);
  return major > first || (major === first && minor >= second);
}

/** How bad it is that the kernel's datapath cannot be had. */
function severity({ lcce: { datapath } }: Plan): "note" | "warning" | "error" {
  if (datapath === "kernel") return "error";
  return datapath === "auto" ? "warning" : "note";
}

/** By itself the daemon takes the datapath in user space, which has no L2TP over IP. */
function fallsBack({ hasL2tp, userspaceFlaw, modules }: KernelFacts, { lcce, tunnels }: Plan): boolean {
  if (hasL2tp !== false || willBeLoaded(modules) || userspaceFlaw !== undefined) return false;
  return lcce.datapath === "auto" && tunnels.every(({ encapsulation }) => encapsulation === "udp");
}

function willBeLoaded(modules: KernelFacts["modules"]): boolean {
  const { state } = modules.get("l2tp_netlink") ?? {};
  return state === "loadable" || state === "blacklisted";
}

function checkL2tp(facts: KernelFacts, plan: Plan): Finding {
  const { hasL2tp, modules } = facts;
  if (hasL2tp === false && willBeLoaded(modules)) return ok("kernel L2TP", "the daemon will load it");
  if (hasL2tp === true) return ok("kernel L2TP", 'the kernel knows the generic netlink family "l2tp"');
  if (hasL2tp === undefined) return hidden("kernel L2TP", "the generic netlink families");
  const found = 'the kernel has no generic netlink family "l2tp" now';
  if (fallsBack(facts, plan)) {
    const instead = `${found}: frames go through user space, which costs more CPU`;
    const advice = "nothing has to be done; for the kernel's datapath see the modules below";
    return finding("kernel L2TP", "warning", instead, advice);
  }
  const { datapath } = plan.lcce;
  return finding("kernel L2TP", severity(plan), found, `see the modules below${ALTERNATIVE_TO[datapath] ?? ""}`);
}

/** By datapath. */
const ALTERNATIVE_TO: Readonly<Record<string, string>> = { kernel: ', or take datapath = "userspace"' };

/** What does without a module. Bridges and protocol 115 are the kernel's with any datapath. */
const ALTERNATIVES: Readonly<Record<string, string>> = {
  bridge: "",
  l2tp_ip: ', or take encapsulation = "udp"',
  l2tp_ip6: ', or take encapsulation = "udp"',
};

function checkModules(facts: KernelFacts, plan: Plan): Finding[] {
  // One cause, one warning: that frames go through user space has been said.
  const status = fallsBack(facts, plan) ? "note" : severity(plan);
  return Array.from(facts.modules, ([name, condition]) => {
    if (name === "bridge" && facts.bridgeSeen) return ok("module bridge", "there is a bridge");
    const alternative = ALTERNATIVES[name] ?? ALTERNATIVE_TO[plan.lcce.datapath] ?? "";
    return checkModule(name, condition, { status: name === "bridge" ? "error" : status, alternative });
  });
}

interface Lack {
  readonly status: "note" | "warning" | "error";
  /** The end of a sentence. */
  readonly alternative: string;
}

function checkModule(name: string, condition: ModuleCondition, { status, alternative }: Lack): Finding {
  const check = `module ${name}`;
  const { state, detail, remedy = `run modprobe ${name} as root` } = condition;
  switch (state) {
    case "loaded":
    case "loadable":
      return ok(check, detail);
    case "blacklisted":
      return finding(check, "note", detail, `the daemon loads it by name; for others: modprobe ${name}`);
    case "disabled":
      return finding(check, status, detail, 'remove its "install" line, or put it into comments');
    case "missing":
      return finding(check, status, detail, `${remedy}${alternative}`);
    case "forbidden":
      return finding(check, status, detail, `run modprobe ${name} as root, and put its name into /etc/modules-load.d`);
  }
}

function checkUserspace({ userspaceFlaw }: KernelFacts, plan: Plan): Finding {
  const check = "userspace datapath";
  if (userspaceFlaw === undefined) return ok(check, "TAP devices can be made");
  const status = plan.lcce.datapath === "userspace" ? "error" : "note";
  return finding(check, status, userspaceFlaw, 'only datapath = "userspace" needs it, and "auto" to fall back on');
}

const CAPABILITIES = [
  ["CAP_NET_ADMIN", 12n, "tunnels and interfaces cannot be made"],
  ["CAP_NET_BIND_SERVICE", 10n, "ports below 1024 cannot be bound"],
  ["CAP_NET_RAW", 13n, "Linux before 5.7 lets no socket be bound to a device"],
  ["CAP_SYS_MODULE", 16n, "missing kernel modules cannot be loaded"],
  ["CAP_SYS_ADMIN", 21n, "other network namespaces cannot be entered"],
] as const;

/** Those of the doctor itself: who starts it as the daemon is started sees what the daemon will have. */
export function checkCapabilities(facts: Pick<KernelFacts, "capabilities" | "release">, plan: Plan): Finding[] {
  return CAPABILITIES.map(([name, bit, without]) => {
    if (((facts.capabilities >> bit) & 1n) === 1n) return ok(`capability ${name}`, "this process has it");
    const lacks = `this process has it not: ${without}`;
    if (!needed(name, plan, facts.release))
      return finding(`capability ${name}`, "note", lacks, "not needed with this configuration");
    const advice = "start the daemon as root, or grant it in its systemd unit with AmbientCapabilities=";
    return finding(`capability ${name}`, name === "CAP_NET_ADMIN" ? "error" : "warning", lacks, advice);
  });
}

function needed(name: (typeof CAPABILITIES)[number][0], { lcce, tunnels }: Plan, release: string): boolean {
  const ports = [...lcce.listen.map(({ port }) => port), ...tunnels.map(({ localPort }) => localPort)];
  switch (name) {
    case "CAP_NET_ADMIN":
      return lcce.datapath !== "none";
    case "CAP_NET_BIND_SERVICE":
      return ports.some((port) => port > 0 && port < 1024);
    case "CAP_NET_RAW":
      return !isFrom(release, BINDING_FOR_ALL) && tunnels.some(({ bindDevice }) => bindDevice !== undefined);
    case "CAP_SYS_MODULE":
      return lcce.datapath === "kernel";
    case "CAP_SYS_ADMIN":
      return tunnels.some(({ netns }) => netns !== undefined);
  }
}
