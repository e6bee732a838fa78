import type { TunnelConfiguration } from "./configuration.ts";
import type { ControlConnection } from "./control-connection.ts";
import { familyOfLocal, isAddress } from "./endpoint.ts";
import type { TunnelState } from "./tunnel-state.ts";
import { type Turn, withJitter } from "./turn.ts";

/** How often the name of a peer with an established connection is looked up again. */
const WATCH_INTERVAL_MS = 180_000;

/** The peer's DNS name: it may point elsewhere by the next attempt, so nobody keeps what it pointed to. */
export class PeerLookup {
  readonly #tunnel: string;
  /** `undefined`: the peer is an address, or anyone. */
  readonly #host: string | undefined;
  readonly #family: 4 | 6 | undefined;

  constructor({ name, peer, local }: TunnelConfiguration) {
    this.#tunnel = name;
    this.#host = peer === undefined || isAddress(peer) ? undefined : peer;
    this.#family = familyOfLocal(local);
  }

  get needed(): boolean {
    return this.#host !== undefined;
  }

  /** Answered by the input `peer-resolved` or `peer-unresolved`. */
  ask(turn: Turn): void {
    if (this.#host === undefined) return;
    turn.emit({ type: "resolve-peer", tunnel: this.#tunnel, host: this.#host, family: this.#family });
  }

  later(ms: number, turn: Turn): void {
    const timer = { owner: "tunnel", name: this.#tunnel, kind: "resolve" } as const;
    turn.timers.set(this.#key, timer, turn.now + withJitter(ms, turn.entropy));
  }

  /** Looks the name up again in a while, although nothing is wrong. */
  watch(turn: Turn): void {
    if (this.needed) this.later(WATCH_INTERVAL_MS, turn);
  }

  stop(turn: Turn): void {
    turn.timers.stop(this.#key);
  }

  get #key(): string {
    return `resolve ${this.#tunnel}`;
  }
}

/**
 * Takes down what the name stands for now. Where the connection's peer is not among it any more, that is returned in
 * words, and told once.
 */
export function noteAddresses(
  state: TunnelState,
  addresses: readonly string[],
  { state: { remote }, context }: ControlConnection,
  turn: Turn,
): string | undefined {
  const before = listed(state.resolved);
  state.address = addresses[0];
  state.resolved = addresses;
  if (addresses.includes(remote.address)) return undefined;
  const names = listed(addresses);
  const words = `the peer's name stands for ${names} now`;
  if (names !== before) turn.log("info", "peer-address-changed", `${words}, it was ${before || "nothing"}`, context);
  return words;
}

/** Resolvers turn the order of a name's addresses round from one answer to the next. */
function listed(addresses: readonly string[]): string {
  return addresses.toSorted().join(", ");
}
