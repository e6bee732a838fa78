import { constants } from "node:os";
import { errnoName } from "./kernel-error.ts";
import { AF_UNIX, addressOf, MSG_DONTWAIT, MSG_NOSIGNAL, SOCK_DGRAM, SOL_SOCKET, sendmmsg, socket } from "./libc.ts";

/** struct sockaddr_un: a family and 108 octets, the last of a path's being 0. */
const LONGEST_PATH = 107;
const FAMILY_OCTETS = 2;

/** struct mmsghdr of 64-bit Linux: offsets of its fields. */
const MESSAGE = { name: 0, nameLength: 8, iovec: 16, iovecCount: 24, control: 32, controlLength: 40 };
/** Behind it a struct iovec, and a struct cmsghdr (size_t length, int level, int type) with one descriptor and padding. */
const IOVEC = 64;
const CONTROL = 80;
const CONTROL_OCTETS = 24;
const CONTROL_LENGTH = 20;
const PAYLOAD = CONTROL + CONTROL_OCTETS;
const SCM_RIGHTS = 1;

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

  /**
   * Never waits. `descriptor`: the receiver gets one of its own for the same open file. Returns "sent"; "full" where the
   * receiver has no room at the moment; or the name of the error.
   */
  send(text: string, descriptor?: number): string {
    const payload = Buffer.from(text);
    // One piece of memory, so that nothing that the structures point to goes before the call returns.
    const memory = Buffer.concat([Buffer.alloc(PAYLOAD), this.#address, payload]);
    const base = addressOf(memory);
    memory.writeBigUInt64LE(base + BigInt(PAYLOAD), MESSAGE.name);
    memory.writeUInt32LE(this.#address.length, MESSAGE.nameLength);
    memory.writeBigUInt64LE(base + BigInt(IOVEC), MESSAGE.iovec);
    memory.writeBigUInt64LE(1n, MESSAGE.iovecCount);
    memory.writeBigUInt64LE(base + BigInt(PAYLOAD + this.#address.length), IOVEC);
    memory.writeBigUInt64LE(BigInt(payload.length), IOVEC + 8);
    if (descriptor !== undefined) {
      memory.writeBigUInt64LE(base + BigInt(CONTROL), MESSAGE.control);
      memory.writeBigUInt64LE(BigInt(CONTROL_OCTETS), MESSAGE.controlLength);
      memory.writeBigUInt64LE(BigInt(CONTROL_LENGTH), CONTROL);
      memory.writeInt32LE(SOL_SOCKET, CONTROL + 8);
      memory.writeInt32LE(SCM_RIGHTS, CONTROL + 12);
      memory.writeInt32LE(descriptor, CONTROL + 16);
    }
    const result = sendmmsg(this.#fd, memory, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (result >= 0) return "sent";
    return -result === constants.errno.EAGAIN ? "full" : errnoName(-result);
  }
}
