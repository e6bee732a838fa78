import {
  decodeLinkNews,
  type LinkCondition,
  type LinkErrors,
  type LinkNews,
  linkQuestion,
  type ObservedLink,
} from "./link-news.ts";
import type { NetlinkReply, NetlinkRequest } from "./netlink-messages.ts";
import { MAX_IN_FLIGHT } from "./netlink-socket.ts";

/** What is told of the interfaces that are followed. */
export interface LinkWatchEvents {
  /** It differs from what was told last; nothing was told yet of an interface that is taken to be up. */
  condition(name: string, condition: LinkCondition): void;
  /**
   * Unsigned 32-bit numbers that begin at 0 when the interface is first seen, go on when it is made anew, and wrap. Told
   * first when it is first seen, then when they change.
   */
  errors(name: string, errors: LinkErrors): void;
  /** Each interface has been asked for at least once. */
  ready(): void;
}

export interface LinkWatchPorts {
  readonly events: LinkWatchEvents;
  /** Sends the requests, numbered upwards from `sequence`. */
  send(requests: readonly NetlinkRequest[], sequence: number): void;
}

interface Followed {
  readonly name: string;
  /** 0: there is none. */
  index: number;
  /** Its name proper: `name` may be an alternative one. */
  properName: string;
  condition: LinkCondition;
  /** As the driver counted last. */
  counted: LinkErrors;
  /** `undefined`: never seen. */
  told: LinkErrors | undefined;
}

const KINDS = ["hardwareOverruns", "bufferOverruns", "timeouts", "alignments"] as const;
const NO_ERRORS: LinkErrors = { hardwareOverruns: 0, bufferOverruns: 0, timeouts: 0, alignments: 0 };
const HIGHEST_SEQUENCE = 0x7fff_0000;

/**
 * Interfaces by name: whichever has the name now. Answers and news come through one socket and are taken in the order in
 * which the kernel wrote them, so that the last word is the latest.
 */
export class LinkWatch {
  readonly #ports: LinkWatchPorts;
  readonly #followed: ReadonlyMap<string, Followed>;
  #toAsk: string[] = [];
  /** Names by the number of the question. */
  readonly #asked = new Map<number, string>();
  #sequence = 1;
  #isReady = false;

  constructor(names: readonly string[], ports: LinkWatchPorts) {
    this.#ports = ports;
    this.#followed = new Map(
      names.map((name) => [
        name,
        { name, index: 0, properName: name, condition: "up", counted: NO_ERRORS, told: undefined },
      ]),
    );
  }

  /** Asks for every interface anew, whatever was asked before: at the start, now and then, and when news was lost. */
  refresh(): void {
    this.#asked.clear();
    this.#toAsk = [...this.#followed.keys()];
    this.#askMore();
  }

  /** `port`: the number of the socket, by which an answer to us is known from others' doings. */
  take(replies: readonly NetlinkReply[], port: number): void {
    for (const reply of replies) {
      const isOurs = reply.kind === "end" || reply.port === port;
      const name = isOurs ? this.#asked.get(reply.sequence) : undefined;
      if (name !== undefined) this.#answered(name, reply);
      else if (reply.kind === "message") this.#heard(decodeLinkNews(reply.type, reply.octets));
    }
  }

  #askMore(): void {
    const names = this.#toAsk.splice(0, MAX_IN_FLIGHT);
    if (names.length === 0) {
      if (!this.#isReady) this.#ports.events.ready();
      this.#isReady = true;
      return;
    }
    const first = this.#sequence;
    this.#sequence = first + names.length > HIGHEST_SEQUENCE ? 1 : first + names.length;
    for (const [i, name] of names.entries()) this.#asked.set(first + i, name);
    this.#ports.send(names.map(linkQuestion), first);
  }

  #answered(name: string, reply: NetlinkReply): void {
    this.#asked.delete(reply.sequence);
    const followed = this.#followed.get(name);
    const news = reply.kind === "message" ? decodeLinkNews(reply.type, reply.octets) : undefined;
    if (followed !== undefined) {
      if (news?.type === "link") this.#see(followed, news.link);
      // Nearly always ENODEV; whatever else keeps it from being found, nobody can say that it is up.
      else this.#lose(followed);
    }
    if (this.#asked.size === 0) this.#askMore();
  }

  #heard(news: LinkNews | undefined): void {
    if (news === undefined) return;
    for (const followed of this.#followed.values()) {
      if (news.type === "gone") {
        if (followed.index === news.index) this.#lose(followed);
      } else this.#compare(followed, news.link);
    }
  }

  #compare(followed: Followed, link: ObservedLink): void {
    const isSame = followed.index === link.index;
    if (followed.name === link.name || (isSame && followed.properName === link.name)) this.#see(followed, link);
    // It has another name now.
    else if (isSame) this.#lose(followed);
  }

  #see(followed: Followed, link: ObservedLink): void {
    // One that was made anew counts from 0.
    if (followed.index !== link.index && followed.told !== undefined) followed.counted = NO_ERRORS;
    followed.index = link.index;
    followed.properName = link.name;
    this.#turn(followed, link.condition);
    this.#count(followed, link.errors);
  }

  #lose(followed: Followed): void {
    followed.index = 0;
    this.#turn(followed, "down");
  }

  #turn(followed: Followed, condition: LinkCondition): void {
    if (followed.condition === condition) return;
    followed.condition = condition;
    this.#ports.events.condition(followed.name, condition);
  }

  #count(followed: Followed, errors: LinkErrors): void {
    const { told, counted } = followed;
    followed.counted = errors;
    followed.told = told === undefined ? NO_ERRORS : sum(told, counted, errors);
    if (told !== undefined && KINDS.every((kind) => told[kind] === followed.told?.[kind])) return;
    this.#ports.events.errors(followed.name, followed.told);
  }
}

/** `told` and what has come to it since. A counter that went back has begun anew, as some drivers' do on a reset. */
function sum(told: LinkErrors, before: LinkErrors, now: LinkErrors): LinkErrors {
  const of = (kind: (typeof KINDS)[number]) => {
    const grown = now[kind] < before[kind] ? now[kind] : now[kind] - before[kind];
    return (told[kind] + grown) % 2 ** 32;
  };
  return {
    hardwareOverruns: of("hardwareOverruns"),
    bufferOverruns: of("bufferOverruns"),
    timeouts: of("timeouts"),
    alignments: of("alignments"),
  };
}
