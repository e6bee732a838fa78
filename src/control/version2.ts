import type { DecodedMessage } from "../avp/decode.ts";
import { assignedTunnelId, encodeVersion2Refusal } from "../avp/version2.ts";
import { avpsOf } from "./admission.ts";
import type { Endpoint } from "./core.ts";
import { printable } from "./result-codes.ts";
import type { Turn } from "./turn.ts";

/**
 * Whether a message in version 2 is the SCCRQ of a peer that speaks version 3 as well: it has the AVPs of both, and wants
 * to be answered in version 3 (RFC 3931 4.7.3). Router ID tells: version 2 does not have it, and nobody may hide it.
 */
export function isDualSccrq(decoded: DecodedMessage): boolean {
  const { routerId, assignedControlConnectionId } = avpsOf(decoded);
  return isSccrq(decoded) && (routerId !== undefined || assignedControlConnectionId !== undefined);
}

/** Of a message in version 2 that is no dual SCCRQ: an SCCRQ gets the StopCCN it understands, all else is dropped. */
export function receiveVersion2(
  decoded: DecodedMessage,
  { from, to }: { readonly from: Endpoint; readonly to: Endpoint },
  /** Strangers are to learn nothing of this end. */
  secretive: boolean,
  turn: Turn,
): void {
  const details = { peer: `${from.address}:${from.port}`, host_name: printable(avpsOf(decoded).hostName ?? "") };
  const peerTunnelId = isSccrq(decoded) ? assignedTunnelId(decoded.recognised) : 0;
  if (peerTunnelId === 0) {
    turn.log("debug", "version-2", "message in L2TP version 2 dropped", { details });
    return;
  }
  if (!turn.mayRefuse()) return;
  turn.log("warn", "version-2", "SCCRQ in L2TP version 2 alone: this end speaks version 3", { details });
  if (secretive) return;
  const ownTunnelId = turn.entropy.uint32() & 0xffff || 1;
  turn.emit({ type: "reply", from: to, to: from, octets: encodeVersion2Refusal(peerTunnelId, ownTunnelId) });
}

type Sccrq = Extract<DecodedMessage, { readonly kind: "message" | "incomplete" }>;

function isSccrq(decoded: DecodedMessage): decoded is Sccrq {
  if (decoded.kind === "message") return decoded.message.name === "SCCRQ";
  return decoded.kind === "incomplete" && decoded.name === "SCCRQ";
}
