import { endpointText } from "../control/endpoint.ts";
import type { TracedAvp, TracedMessage } from "../daemon/message-tap.ts";
import { socketPath } from "./admin-client.ts";
import type { TraceCommand } from "./arguments.ts";
import { clockTime } from "./event-line.ts";
import { concludeStream, follow } from "./follow.ts";
import type { Interruption } from "./interruption.ts";
import { PcapFile } from "./pcap.ts";
import { complain, EXIT, printable, type Terminal } from "./terminal.ts";

/**
 * `trace TUNNEL`: its control messages as they pass, in words, with --json as objects, and with --pcap into a file as well.
 * Done where the user ended it.
 */
export async function trace(command: TraceCommand, terminal: Terminal, interruption: Interruption): Promise<number> {
  const { tunnel, secrets, json, pcap, daemon } = command;
  const path = await socketPath(daemon, terminal);
  if (path === undefined) return EXIT.wrongUsage;
  const file = pcap === undefined ? undefined : openFile(pcap, terminal);
  if (pcap !== undefined && file === undefined) return EXIT.failed;
  const tell = (item: unknown) => {
    // Daemon and command are of one package.
    const message = item as TracedMessage;
    file?.append(captured(message));
    terminal.out(json ? `${JSON.stringify(message)}\n` : `${messageLines(message).join("\n")}\n`);
  };
  const ending = await follow(path, { command: "trace", tunnel, secrets }, tell, interruption);
  file?.close();
  return concludeStream(ending, terminal);
}

function openFile(path: string, terminal: Terminal): PcapFile | undefined {
  try {
    return new PcapFile(path);
  } catch (error) {
    complain(terminal, printable(error instanceof Error ? error.message : String(error)));
    return undefined;
  }
}

function captured({ time, direction, encapsulation, local, peer, octets }: TracedMessage) {
  const [from, to] = direction === "sent" ? [local, peer] : [peer, local];
  return { atMs: Date.parse(time), from, to, encapsulation, octets: Buffer.from(octets, "hex") };
}

/**
 * `12:00:01.123  sent  SCCRQ  192.0.2.1:1701 > 192.0.2.2:1701  CCID 0  Ns 0  Nr 0`, and below it a line for each AVP: its M
 * and H bits, its name and its value.
 */
export function messageLines(traced: TracedMessage): readonly string[] {
  const { time, direction, message, local, peer, ccid, ns, nr, avps } = traced;
  const [from, to] = direction === "sent" ? [local, peer] : [peer, local];
  const place = `${endpointText(from)} > ${endpointText(to)}`;
  const numbers = ccid === null ? "" : `  CCID ${ccid}  Ns ${ns}  Nr ${nr}`;
  const head = `${clockTime(time)}  ${direction.padEnd(8)}  ${message}  ${place}${numbers}`;
  return [head, ...avps.map(avpLine)].map(printable);
}

function avpLine({ vendor, type, name, mandatory, hidden, value }: TracedAvp): string {
  const flags = `${mandatory ? "M" : "-"}${hidden ? "H" : "-"}`;
  const number = vendor === 0 ? `${type}` : `${vendor}/${type}`;
  const title = name === "" ? `AVP ${number}` : `${name} (${number})`;
  return `    ${flags}  ${title}: ${value ?? (hidden ? "(hidden)" : "(not shown)")}`;
}
