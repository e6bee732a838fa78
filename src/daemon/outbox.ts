import type { Effect } from "../control/core.ts";
import type { SocketKeeper } from "./kept-sockets.ts";
import type { PassingMessage } from "./message-tap.ts";
import type { Transport } from "./transport.ts";

/** What outlives the process, so that the next one can go on. */
export interface Keeping {
  readonly sockets: SocketKeeper;
  /** What the core has come to is written down when this returns: only then may a peer hear of it. */
  commit(): void;
}

type Message = Extract<Effect, { readonly type: "send" | "reply" }>;

/** Messages on their way out. Where a state is kept they leave when what has led to them is written down. */
export class Outbox {
  readonly #transport: Pick<Transport, "send" | "reply">;
  readonly #passes: (message: PassingMessage) => void;
  readonly #keeping: Pick<Keeping, "commit"> | undefined;
  #held: Message[] = [];

  /** `passes` is shown each message on its way. */
  constructor(
    transport: Pick<Transport, "send" | "reply">,
    passes: (message: PassingMessage) => void,
    keeping: Pick<Keeping, "commit"> | undefined,
  ) {
    this.#transport = transport;
    this.#passes = passes;
    this.#keeping = keeping;
  }

  send(message: Message): void {
    if (this.#keeping === undefined) this.#transmit(message);
    else this.#held.push(message);
  }

  /** Writing is dear, so that everything up to here shares it. `guard`: one that fails does not keep the others. */
  release(guard: (act: () => void) => void): void {
    if (this.#keeping === undefined) return;
    guard(() => this.#keeping?.commit());
    const held = this.#held;
    this.#held = [];
    for (const message of held) guard(() => this.#transmit(message));
  }

  #transmit(message: Message): void {
    const { octets, to: peer } = message;
    if (message.type === "send") {
      const { localControlConnectionId } = message;
      this.#passes({ direction: "sent", octets, peer, local: undefined, localControlConnectionId });
      this.#transport.send(localControlConnectionId, peer, octets);
    } else {
      this.#passes({ direction: "sent", octets, peer, local: message.from });
      this.#transport.reply(message.from, peer, octets);
    }
  }
}
