import { decodeMessage } from "../avp/decode.ts";
import { describeMessage } from "../avp/describe.ts";
import { ProtocolError } from "../avp/protocol-error.ts";
import type { Endpoint } from "../control/core.ts";
import { endpointText } from "../control/endpoint.ts";
import type { LogEntry } from "./log.ts";

/** One control message as a log line: what it is, never what it carries. */
export function traceOf(direction: "sent" | "received", octets: Uint8Array, peer: Endpoint): LogEntry {
  const details = { peer: endpointText(peer) };
  const event = `message-${direction}`;
  try {
    const decoded = decodeMessage(octets);
    const { controlConnectionId, ns, nr } = decoded.header;
    const message = `${direction} ${describeMessage(decoded)}`;
    return { level: "trace", event, message, details: { ...details, ccid: controlConnectionId, ns, nr } };
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { level: "trace", event, message: `${direction} ${octets.length} octets: ${error.message}`, details };
  }
}
