import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { SocketFact } from "./ports.ts";

const L2TP_PROTOCOL = 115;
const TABLES = ["udp", "udp6", "raw", "raw6"] as const;

interface TableRow {
  readonly protocol: SocketFact["protocol"];
  readonly address: string;
  readonly port: number;
  readonly inode: string;
}

/** The UDP sockets of this network namespace, the raw ones of protocol 115, and whose they are where that may be seen. */
export function readSockets(root = "/proc"): SocketFact[] {
  const rows = TABLES.flatMap((name) => parseSocketTable(name, read(`${root}/net/${name}`)));
  const owners = ownersOf(new Set(rows.map(({ inode }) => inode)), root);
  return rows.map(({ inode, ...row }) => ({ ...row, owner: owners.get(inode) }));
}

/**
 * How many sockets of L2TP over IP there are, of which no table tells more: those of daemons, and of tunnels that were made
 * with `ip l2tp`.
 */
export function countL2tpIpSockets(root = "/proc"): { readonly 4: number; readonly 6: number } {
  return parseProtocols(read(`${root}/net/protocols`));
}

/** Name, size, sockets, … of each protocol. */
export function parseProtocols(text: string): { readonly 4: number; readonly 6: number } {
  const count = (name: string) => {
    const line = text.split("\n").find((each) => each.startsWith(`${name} `));
    return Number(line?.trim().split(/\s+/)[2] ?? 0);
  };
  return { 4: count("L2TP/IP"), 6: count("L2TP/IPv6") };
}

/** /proc/net/udp and its kin: proc(5). In the raw ones the local port is the protocol. */
export function parseSocketTable(name: (typeof TABLES)[number], text: string): TableRow[] {
  const isRaw = name.startsWith("raw");
  return text
    .split("\n")
    .slice(1)
    .flatMap((line): TableRow[] => {
      const fields = line.trim().split(/\s+/);
      const [address = "", port = ""] = (fields[1] ?? "").split(":");
      const inode = fields[9];
      const number = Number.parseInt(port, 16);
      if (inode === undefined || address === "" || (isRaw && number !== L2TP_PROTOCOL)) return [];
      return [{ protocol: isRaw ? "ip" : "udp", address: decode(address), port: isRaw ? 0 : number, inode }];
    });
}

/** Words of 32 bits in the order of a little-endian machine. */
function decode(hexadecimal: string): string {
  const octets = Buffer.from(hexadecimal, "hex");
  for (let i = 0; i < octets.length; i += 4) octets.subarray(i, i + 4).reverse();
  if (octets.length === 4) return octets.join(".");
  if (octets.every((octet) => octet === 0)) return "::";
  const groups = Array.from({ length: 8 }, (_, i) => octets.readUInt16BE(2 * i).toString(16));
  return groups.join(":").replace(/(^|:)0(:0)+(:|$)/, "::");
}

function ownersOf(inodes: ReadonlySet<string>, root: string) {
  const owners = new Map<string, { readonly pid: number; readonly command: string }>();
  for (const pid of list(root).filter((name) => /^\d+$/.test(name))) {
    for (const descriptor of list(`${root}/${pid}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(link(`${root}/${pid}/fd/${descriptor}`))?.[1];
      if (inode === undefined || !inodes.has(inode)) continue;
      owners.set(inode, { pid: Number(pid), command: commandOf(`${root}/${pid}`) });
    }
  }
  return owners;
}

/** The program and, of an interpreter, its script. Not the options: there may be secrets among them. */
function commandOf(folder: string): string {
  const words = read(`${folder}/cmdline`).split("\0");
  const name = read(`${folder}/comm`).trim();
  const script = words.slice(1).find((word) => /l2tpv3-lcc|\/main\.[jt]s$/.test(word) && !word.startsWith("-"));
  return script === undefined ? name : `${name} ${script}`;
}

function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
