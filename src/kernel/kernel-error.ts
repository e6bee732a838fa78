import { constants } from "node:os";

const ERRNO_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(constants.errno).map(([name, number]) => [number, name]),
);

/** The name of an error number: 17 is "EEXIST". Numbers without a name become "E530". */
export function errnoName(errno: number): string {
  return ERRNO_NAMES.get(errno) ?? (errno === constants.errno.EAGAIN ? "EAGAIN" : `E${errno}`);
}

export interface KernelErrorDetails {
  /** "EEXIST". */
  readonly errno: string;
  /** What was asked of the kernel: "L2TP_CMD_SESSION_CREATE", "RTM_SETLINK", "bind". */
  readonly command: string;
  /** The kernel's own words (netlink extended acknowledgement); empty where it has none. */
  readonly extendedAck?: string;
  readonly cause?: unknown;
}

/** Something the kernel refused. The message is a sentence for operators: what was tried, on what, and what helps. */
export class KernelError extends Error {
  override readonly name = "KernelError";
  readonly errno: string;
  readonly command: string;
  readonly extendedAck: string;

  constructor(message: string, details: KernelErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.errno = details.errno;
    this.command = details.command;
    this.extendedAck = details.extendedAck ?? "";
  }
}
