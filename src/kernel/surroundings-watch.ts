import { decodeLinkNews } from "./link-news.ts";
import type { NetlinkReply } from "./netlink-messages.ts";
import { NewsThrottle } from "./news-throttle.ts";

/** rtnetlink(7). Of the messages about addresses and routes only the interface is looked at. */
const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_NEWROUTE = 24;
/** In struct ifaddrmsg. */
const ADDRESS_INDEX = 4;
/** struct rtmsg. */
const ROUTE_HEADER_OCTETS = 12;
const RTA_OIF = 4;

/** Groups of rtnetlink, as bits: addresses and routes of IPv4 and IPv6; those of interfaces are heard anyway. */
export const SURROUNDINGS_GROUPS = 0x10 | 0x40 | 0x100 | 0x400;

export interface SurroundingsSetup {
  /** Interfaces that are waited for: bridges, and those whose address is used. */
  readonly awaited: readonly string[];
  /** Our own devices: what we do with them ourselves is no news. */
  readonly ours: readonly string[];
  /** IPsec policies are told of too. */
  readonly policies?: boolean;
}

/**
 * Tells when an address or a route has come, or an interface that is waited for: what failed for want of it may succeed
 * now. An address that went is told as well.
 */
export class SurroundingsWatch {
  readonly #awaited: ReadonlySet<string>;
  readonly #ours: ReadonlySet<string>;
  readonly #throttle: NewsThrottle;
  /** Our own devices by index: they are made after the watch begins, so that it hears of each. */
  readonly #ourIndices = new Set<number>();
  /** As last heard of: what changes on an interface beyond that is not waited for. */
  readonly #seen = new Map<string, string>();

  constructor({ awaited, ours }: SurroundingsSetup, tell: () => void) {
    this.#awaited = new Set(awaited);
    this.#ours = new Set(ours);
    this.#throttle = new NewsThrottle(tell);
  }

  take(replies: readonly NetlinkReply[]): void {
    for (const reply of replies) if (reply.kind === "message") this.#hear(reply.type, reply.octets);
  }

  /** News was lost: anything may have come. */
  lost(): void {
    this.#throttle.news();
  }

  /** Tells what there is to tell, unless it is too early. Returns in how many milliseconds it has to be called again. */
  settle(now: number): number {
    return this.#throttle.settle(now);
  }

  #hear(type: number, message: Buffer): void {
    if (type === RTM_NEWADDR || type === RTM_DELADDR) this.#concern(message.readUInt32LE(ADDRESS_INDEX));
    else if (type === RTM_NEWROUTE) this.#concern(outgoingInterface(message));
    else this.#hearOfLink(type, message);
  }

  #concern(index: number): void {
    if (!this.#ourIndices.has(index)) this.#throttle.news();
  }

  #hearOfLink(type: number, message: Buffer): void {
    const news = decodeLinkNews(type, message);
    if (news === undefined) return;
    if (news.type === "gone") {
      this.#ourIndices.delete(news.index);
      return;
    }
    const { index, name, condition } = news.link;
    if (this.#ours.has(name)) this.#ourIndices.add(index);
    if (!this.#awaited.has(name)) return;
    const seen = `${index} ${condition}`;
    if (this.#seen.get(name) !== seen) this.#throttle.news();
    this.#seen.set(name, seen);
  }
}

/** 0: it has none, or several. */
function outgoingInterface(route: Buffer): number {
  for (let offset = ROUTE_HEADER_OCTETS; offset + 8 <= route.length; ) {
    const length = route.readUInt16LE(offset);
    if (route.readUInt16LE(offset + 2) === RTA_OIF) return route.readUInt32LE(offset + 4);
    if (length < 4) return 0;
    offset += (length + 3) & ~3;
  }
  return 0;
}
