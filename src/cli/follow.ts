import { connect } from "node:net";
import type { AdminRequest } from "../daemon/admin-protocol.ts";
import { noDaemon, parseReply, reasonOf } from "./admin-client.ts";
import type { Interruption } from "./interruption.ts";
import { complain, EXIT, printable, type Terminal } from "./terminal.ts";

/** How a stream came to its end: in words, or `undefined` where the user ended it. */
export type StreamEnding = string | undefined;

const CUT_OFF = "the daemon has ended the stream: it was killed, or this end reads too slowly";

/** Follows a stream of the daemon's until it ends, or the user interrupts. Never rejects. */
export function follow(
  path: string,
  request: AdminRequest,
  onItem: (item: unknown) => void,
  interruption: Interruption,
): Promise<StreamEnding> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const stream = new StreamReader(path, onItem);
    const finish = (ending: StreamEnding) => {
      socket.destroy();
      resolve(ending);
    };
    interruption.on(() => finish(undefined));
    socket.setEncoding("utf8");
    socket.on("connect", () => socket.write(`${JSON.stringify(request)}\n`));
    socket.on("error", (error) => finish(noDaemon(path, reasonOf(error)).error));
    socket.on("data", (text: string) => {
      const ending = readOrFail(stream, text);
      if (ending !== undefined) finish(ending);
    });
    socket.on("end", () => finish(stream.cutOff));
  });
}

/** An item that cannot be dealt with, such as one for which a disk has no room, is the end. */
function readOrFail(stream: StreamReader, text: string): StreamEnding {
  try {
    return stream.read(text);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** What comes over the socket: a reply, items, and a word at the end. */
class StreamReader {
  readonly #path: string;
  readonly #onItem: (item: unknown) => void;
  #rest = "";
  #accepted = false;

  constructor(path: string, onItem: (item: unknown) => void) {
    this.#path = path;
    this.#onItem = onItem;
  }

  /** What it means that nothing more comes. */
  get cutOff(): string {
    return this.#accepted ? CUT_OFF : noDaemon(this.#path, "it ended the connection without an answer").error;
  }

  /** Returns why nothing follows, if so. */
  read(text: string): StreamEnding {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      const ending = this.#accepted ? this.#readItem(line) : this.#readReply(line);
      if (ending !== undefined) return ending;
    }
    return undefined;
  }

  #readReply(line: string): StreamEnding {
    const reply = parseReply(line);
    if (reply === undefined) return noDaemon(this.#path, "it answers something else").error;
    this.#accepted = reply.ok;
    return reply.ok ? undefined : reply.error;
  }

  #readItem(line: string): StreamEnding {
    const item: unknown = JSON.parse(line);
    if (typeof item === "object" && item !== null && "end" in item) return String(item.end);
    this.#onItem(item);
    return undefined;
  }
}

/** Exit code and complaint of a command that has followed a stream. */
export function concludeStream(ending: StreamEnding, terminal: Terminal): number {
  if (ending === undefined) return EXIT.done;
  complain(terminal, printable(ending));
  return EXIT.failed;
}
