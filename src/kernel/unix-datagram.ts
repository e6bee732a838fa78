import { constants } from "node:os";
import { errnoName } from "./kernel-error.ts";
import { AF_UNIX, MSG_DONTWAIT, MSG_NOSIGNAL, SOCK_DGRAM, sendto, socket } from "./libc.ts";

/** struct sockaddr_un: a family and 108 octets, the last of a path's being 0. */
const LONGEST_PATH = 107;
const FAMILY_OCTETS = 2;

/**
 * The raw address of a Unix socket: an absolute path, or "@name" for one in the abstract namespace (unix(7)). `undefined`
 * where `name` is neither, or too long.
 */
export function unixAddress(name: string): Buffer | undefined {
  const octets = Buffer.from(name);
  if (octets.length > LONGEST_PATH || octets.length < 2 || octets.includes(0)) return undefined;
  if (!name.startsWith("/") && !name.startsWith("@")) return undefined;
  // The length is what tells an abstract name from a longer one: it ends without a 0, and begins with one.
  const ending = name.startsWith("/") ? 1 : 0;
  const address = Buffer.alloc(FAMILY_OCTETS + octets.length + ending);
  address.writeUInt16LE(AF_UNIX);
  octets.copy(address, FAMILY_OCTETS);
  if (ending === 0) address[FAMILY_OCTETS] = 0;
  return address;
}

/** Sends datagrams to a Unix socket, which Node cannot: its own Unix sockets are streams. Its descriptor stays open. */
export class UnixDatagramSender {
  readonly #address: Uint8Array;
  readonly #fd = socket(AF_UNIX, SOCK_DGRAM, 0);

  /** `address`: as of `unixAddress`. Throws a `KernelError` where there are no descriptors left. */
  constructor(address: Uint8Array) {
    this.#address = address;
  }

  /** Never waits. Returns "sent"; "full" where the receiver has no room at the moment; or the name of the error. */
  send(text: string): string {
    const octets = Buffer.from(text);
    const result = sendto(this.#fd, octets, octets.length, MSG_DONTWAIT | MSG_NOSIGNAL, this.#address);
    if (result >= 0) return "sent";
    return -result === constants.errno.EAGAIN ? "full" : errnoName(-result);
  }
}
