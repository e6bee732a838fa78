import { type DissectedMessage, dissectMessage } from "../avp/dissect.ts";
import { hidingKey } from "../avp/hiding.ts";
import { ProtocolError } from "../avp/protocol-error.ts";
import type { Endpoint, LocalEndpoint } from "../control/core.ts";
import { anyAddress, encapsulationOf, endpointText, familyOf, isAnyAddress } from "../control/endpoint.ts";
import type { Lcce } from "../control/lcce.ts";
import { addressee, type MessageOwner, ownerOf, sender } from "../control/message-owner.ts";

/** A control message on its way between the sockets and the core. */
export interface PassingMessage {
  readonly direction: "sent" | "received";
  readonly octets: Uint8Array;
  readonly peer: Endpoint;
  /** `undefined`: the socket is not bound yet. */
  readonly local: LocalEndpoint | undefined;
  /** Whose socket sends it; `undefined`: a listener's. */
  readonly localControlConnectionId?: number;
}

/** The same for who traces the tunnel, an object in a line. */
export interface TracedMessage {
  /** ISO 8601. */
  readonly time: string;
  readonly direction: "sent" | "received";
  /** "SCCRQ", "ZLB", or what is wrong with it. */
  readonly message: string;
  readonly encapsulation: "udp" | "ip";
  /** Port 0: over IP. The address is that for any while none is chosen. */
  readonly local: Endpoint;
  readonly peer: Endpoint;
  /** The receiver's Control Connection ID; null, as Ns and Nr, where there is no sound header. */
  readonly ccid: number | null;
  readonly ns: number | null;
  readonly nr: number | null;
  readonly avps: readonly TracedAvp[];
  /** Hexadecimal digits: the message with zeros for what is not shown. */
  readonly octets: string;
}

export interface TracedAvp {
  readonly vendor: number;
  readonly type: number;
  /** "Host Name"; "" where nobody knows it. */
  readonly name: string;
  readonly mandatory: boolean;
  readonly hidden: boolean;
  /** null: not to be shown, or not to be read. */
  readonly value: string | null;
}

interface Tracer {
  readonly tunnel: string;
  readonly secrets: boolean;
  readonly tell: (message: TracedMessage) => void;
}

/** Owners that are remembered for what is sent after a connection is forgotten. */
const MOST_REMEMBERED = 1_024;

/** Octets that can be told apart although they are no control message: those of a control header. */
const KEPT_OF_NOISE = 12;

/** Shows control messages to whoever traces their tunnel. */
export class MessageTap {
  readonly #lcce: Pick<Lcce, "correspondents">;
  /** Where the socket of a connection is bound to, now that it is connected. */
  readonly #localOf: (localControlConnectionId: number) => Endpoint | undefined;
  readonly #tracers = new Set<Tracer>();
  /** Of connections by their local id, and of peers that were heard, by address and port. */
  readonly #owners = new Map<number | string, MessageOwner>();

  constructor(
    lcce: Pick<Lcce, "correspondents">,
    localOf: (localControlConnectionId: number) => Endpoint | undefined = () => undefined,
  ) {
    this.#lcce = lcce;
    this.#localOf = localOf;
  }

  get wanted(): boolean {
    return this.#tracers.size > 0;
  }

  /** Returns what ends it. */
  trace(tracer: Tracer): () => void {
    // A connection may end, and be forgotten, with the first message that is seen of it.
    for (const connection of this.#lcce.correspondents.connections.owners()) {
      if (connection.state.tunnel === tracer.tunnel) this.#remember(connection.id, ownerOf(connection));
    }
    this.#tracers.add(tracer);
    return () => {
      this.#tracers.delete(tracer);
      if (!this.wanted) this.#owners.clear();
    };
  }

  passed(passing: PassingMessage): void {
    const owner = this.#ownerOf(passing);
    if (owner === undefined) return;
    for (const tracer of this.#tracers) {
      if (tracer.tunnel !== owner.tunnel) continue;
      tracer.tell(traced({ ...passing, local: this.#localEnd(passing, owner) }, owner, tracer.secrets, new Date()));
    }
  }

  /** A socket that was opened for any address has one of its own when it is connected. */
  #localEnd({ peer, local, localControlConnectionId }: PassingMessage, owner: MessageOwner): Endpoint {
    if (local !== undefined && !isAnyAddress(local.address)) return local;
    const chosen = this.#localOf(localControlConnectionId ?? owner.localControlConnectionId);
    return chosen ?? local ?? { address: anyAddress(familyOf(peer.address)), port: 0 };
  }

  #ownerOf({ direction, octets, peer, local, localControlConnectionId: id }: PassingMessage): MessageOwner | undefined {
    const { correspondents } = this.#lcce;
    const place = endpointText(peer);
    try {
      if (direction === "received") {
        const to = local ?? { address: anyAddress(familyOf(peer.address)), port: 0 };
        return this.#remember(place, addressee({ type: "datagram", from: peer, to, octets }, correspondents));
      }
      const owner = sender(id, octets, peer, correspondents);
      if (owner !== undefined) return this.#remember(id ?? place, owner);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
    }
    return this.#owners.get(id ?? place);
  }

  #remember(key: number | string, owner: MessageOwner | undefined): MessageOwner | undefined {
    if (owner === undefined) return undefined;
    this.#owners.delete(key);
    this.#owners.set(key, owner);
    const [oldest] = this.#owners.keys();
    if (this.#owners.size > MOST_REMEMBERED && oldest !== undefined) this.#owners.delete(oldest);
    return owner;
  }
}

function traced(
  passing: PassingMessage & { readonly local: Endpoint },
  owner: MessageOwner,
  secrets: boolean,
  now: Date,
): TracedMessage {
  const { direction, peer, local } = passing;
  const envelope = {
    time: now.toISOString(),
    direction,
    encapsulation: encapsulationOf(peer),
    local: { address: local.address, port: local.port },
    peer: { address: peer.address, port: peer.port },
  };
  return { ...envelope, ...dissected(passing.octets, owner, secrets) };
}

type Dissected = Pick<TracedMessage, "message" | "ccid" | "ns" | "nr" | "avps" | "octets">;

function dissected(octets: Uint8Array, owner: MessageOwner, secrets: boolean): Dissected {
  try {
    return written(dissectMessage(octets, { secrets, hidingKeys: owner.secrets.map(hidingKey) }));
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    const kept = secrets ? octets : octets.subarray(0, KEPT_OF_NOISE);
    return { message: error.message, ccid: null, ns: null, nr: null, avps: [], octets: hexOf(kept) };
  }
}

function written({ header, name, avps, octets }: DissectedMessage): Dissected {
  return {
    message: name,
    ccid: header.controlConnectionId,
    ns: header.ns,
    nr: header.nr,
    avps: avps.map(({ vendorId, type, title, mandatory, hidden, value }) => ({
      vendor: vendorId,
      type,
      name: title,
      mandatory,
      hidden,
      value: value ?? null,
    })),
    octets: hexOf(octets),
  };
}

function hexOf(octets: Uint8Array): string {
  return Buffer.from(octets).toString("hex");
}
