import { readlinkSync } from "node:fs";
import type { KernelCalls } from "./kernel-operations.ts";
import type { Link } from "./links.ts";

/**
 * Devices that a process of ours left behind when it was killed. A managed tunnel ends with its socket, so they are on
 * their way out, unless another process still has the socket. They are known by their alias, which every device of a
 * session gets: the process, its PID namespace, and the kernel's ids.
 */
const ALIAS = /^l2tpv3-lcc: session (\d{1,10}) of tunnel (\d{1,10}), process (\d{1,10}) in (\S+)$/;

/**
 * An l2tpeth device has no kind in rtnetlink, up to Linux 7.2 at least; bridges, veth pairs and the like have one. A
 * sub-interface goes with the l2tpeth device below it, and has a name that is waited for.
 */
const KINDS: readonly string[] = ["", "vlan"];

export interface Owner {
  readonly localControlConnectionId: number;
  readonly localSessionId: number;
  readonly process: number;
  readonly namespace: string;
}

type Ids = Pick<Owner, "localControlConnectionId" | "localSessionId">;

const ownNamespace = readNamespace();

function readNamespace(): string {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return "?";
  }
}

/** Words for `ip link show`, and for the next process. */
export function aliasOf({ localSessionId, localControlConnectionId }: Ids): string {
  const where = `process ${process.pid} in ${ownNamespace}`;
  return `l2tpv3-lcc: session ${localSessionId} of tunnel ${localControlConnectionId}, ${where}`;
}

/** `undefined`: no device of ours. */
export function ownerOf({ kind, alias }: Pick<Link, "kind" | "alias">): Owner | undefined {
  const match = KINDS.includes(kind) ? ALIAS.exec(alias) : null;
  if (match === null) return undefined;
  const [localSessionId = 0, localControlConnectionId = 0, pid = 0] = match.slice(1, 4).map(Number);
  return { localControlConnectionId, localSessionId, process: pid, namespace: match[4] ?? "" };
}

/** Whether it was made by a process that is dead for certain. What is made elsewhere, or still lives, is foreign. */
export function isLeftover(
  owner: Pick<Owner, "process" | "namespace">,
  isAlive: (pid: number) => boolean = isProcessAlive,
): boolean {
  if (owner.namespace !== ownNamespace || ownNamespace === "?") return false;
  return owner.process !== process.pid && !isAlive(owner.process);
}

/** Signal 0 reaches whoever is there; EPERM: somebody is. */
function isProcessAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return !(error instanceof Error && "code" in error && error.code === "ESRCH");
  }
}

/** What of an earlier process goes on: the sessions of each of its tunnels. */
export type Adopted = ReadonlyMap<number, ReadonlySet<number>>;

/**
 * Removes the tunnels of dead processes, as far as their devices tell of them, and those sessions in adopted ones that are
 * not adopted. Returns the names of the devices, which take a while to go.
 */
export function removeLeftovers(
  calls: KernelCalls,
  links: readonly Link[],
  adopted: Adopted = new Map(),
): readonly string[] {
  const found = links.flatMap((link) => {
    const owner = ownerOf(link);
    if (owner === undefined || !isLeftover(owner)) return [];
    return adopted.get(owner.localControlConnectionId)?.has(owner.localSessionId) ? [] : [{ name: link.name, owner }];
  });
  const [single, whole] = [new Set<number>(), new Set<number>()];
  for (const { owner } of found) {
    if (!adopted.has(owner.localControlConnectionId)) whole.add(owner.localControlConnectionId);
    else if (!single.has(owner.localSessionId)) {
      single.add(owner.localSessionId);
      const { localControlConnectionId: connectionId, localSessionId: sessionId } = owner;
      calls.l2tp([{ command: "L2TP_CMD_SESSION_DELETE", attributes: { connectionId, sessionId } }]);
    }
  }
  // ENODEV, mostly: it is going by itself.
  calls.l2tp([...whole].map((connectionId) => ({ command: "L2TP_CMD_TUNNEL_DELETE", attributes: { connectionId } })));
  return found.map(({ name }) => name);
}
