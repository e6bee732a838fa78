import { chmod, lstat, mkdir, unlink } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { type AdminReply, type AdminRequest, parseAdminRequest, type StreamEnd } from "./admin-protocol.ts";

/** Octets of one request, far above what any command needs. */
const LONGEST_LINE = 16_384;
const IDLE_MS = 10_000;
const MOST_CLIENTS = 32;
/** Of those: so many may follow a stream, and so much may wait for each, in octets; beyond that it is cut off. */
const MOST_STREAMS = 16;
const MOST_UNREAD = 1_048_576;
/** How long a client may take for what is left when the daemon ends. */
const FAREWELL_MS = 500;

export interface AdminSocketLimits {
  /** How long a client may say nothing, in milliseconds. */
  readonly idleMs?: number;
}

/** An answer that goes on. */
export interface AdminStream {
  /** Called once; what is told becomes a line each, until what is returned is called. */
  readonly stream: (tell: (item: unknown) => void) => () => void;
}

type Handler = (request: AdminRequest) => Promise<AdminReply | AdminStream>;

export interface AdminSocket {
  /** Drops every client, those that follow a stream with a word, and removes the socket. */
  close(): Promise<void>;
}

/** Clients that follow a stream, with what says goodbye to them. */
type Followers = Map<Socket, () => void>;

/**
 * Serves the admin protocol on a Unix socket that owner and group alone can use. Makes the directory if it is missing and
 * replaces the socket that a dead daemon left; rejects with an `Error` that names the path where a living one answers.
 */
export async function openAdminSocket(
  path: string,
  handle: Handler,
  limits: AdminSocketLimits = {},
): Promise<AdminSocket> {
  await makeDirectory(dirname(path));
  await removeStale(path);
  const clients = new Set<Socket>();
  const followers: Followers = new Map();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    clients.add(socket);
    socket.on("close", () => clients.delete(socket));
    serve(socket, handle, limits.idleMs ?? IDLE_MS, followers);
  });
  server.maxConnections = MOST_CLIENTS;
  await listen(server, path);
  return {
    close: () =>
      new Promise((resolve) => {
        // Closing the server removes the socket from the file system too.
        const patience = setTimeout(() => destroyAll(clients), FAREWELL_MS);
        server.close(() => {
          clearTimeout(patience);
          resolve();
        });
        for (const client of clients) if (!followers.has(client)) client.destroy();
        for (const farewell of [...followers.values()]) farewell();
      }),
  };
}

async function makeDirectory(path: string): Promise<void> {
  const made = await mkdir(path, { recursive: true }).catch((cause: Error) => {
    throw new Error(`admin socket: ${cause.message}`, { cause });
  });
  // The umask may have taken away what clients of the socket's group need to get through.
  if (made !== undefined) await chmod(path, 0o755);
}

/** Leaves alone whatever is not a socket, and a socket that somebody listens on. */
async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (found === undefined) return;
  if (!found.isSocket()) throw new Error(`admin socket ${path}: there is something else of that name`);
  if (await answers(path)) throw new Error(`admin socket ${path}: another daemon is using it`);
  await unlink(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = connect(path);
    probe.on("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ECONNREFUSED") resolve(false);
      // EAGAIN: somebody listens and is busy.
      else if (error.code === "EAGAIN") resolve(true);
      else reject(new Error(`admin socket ${path}: ${error.message}`, { cause: error }));
    });
  });
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => reject(new Error(`admin socket ${path}: ${error.message}`, { cause: error }));
    server.once("error", fail);
    server.once("listening", () => {
      server.off("error", fail);
      // What accept() reports later (EMFILE) concerns one client, not the daemon.
      server.on("error", () => undefined);
      resolve();
    });
    // The socket is born with the rights it keeps: bind happens within listen, before the umask is put back.
    const umask = process.umask(0o117);
    try {
      server.listen(path);
    } finally {
      process.umask(umask);
    }
  });
}

function destroyAll(clients: Iterable<Socket>): void {
  for (const client of clients) client.destroy();
}

function serve(socket: Socket, handle: Handler, idleMs: number, followers: Followers): void {
  let waiting = "";
  let answering = false;
  let ended = false;

  const send = (reply: AdminReply) => {
    if (!socket.destroyed) socket.write(`${JSON.stringify(reply)}\n`);
  };
  const refuse = (error: string) => {
    ended = true;
    waiting = "";
    send({ ok: false, error });
    // Without waiting for the client's end: it may never stop talking.
    socket.end(() => socket.destroy());
  };
  const begin = (stream: AdminStream) => {
    // Whoever has ended its half wants nothing that goes on.
    if (ended) socket.destroy();
    else if (followers.size >= MOST_STREAMS) refuse(`more than ${MOST_STREAMS} follow already`);
    else follow(socket, stream, followers);
  };
  const proceed = () => {
    if (answering || socket.destroyed || followers.has(socket)) return;
    const end = waiting.indexOf("\n");
    if (end >= 0) {
      const line = waiting.slice(0, end);
      waiting = waiting.slice(end + 1);
      answering = true;
      void answer(line, handle).then((reply) => {
        answering = false;
        if ("ok" in reply) send(reply);
        else begin(reply);
        proceed();
      });
    } else if (ended) {
      socket.end();
    } else {
      socket.resume();
    }
  };

  socket.setEncoding("utf8");
  socket.setTimeout(idleMs);
  socket.on("timeout", () => {
    if (!answering) socket.destroy();
  });
  // A client that goes away is no news; "close" follows.
  socket.on("error", () => undefined);
  socket.on("data", (text: string) => {
    if (ended || followers.has(socket)) return;
    waiting += text;
    const lineLength = waiting.includes("\n") ? waiting.indexOf("\n") : waiting.length;
    if (lineLength > LONGEST_LINE) return refuse(`request longer than ${LONGEST_LINE} octets`);
    // One request at a time: the rest stays with the client.
    socket.pause();
    proceed();
  });
  socket.on("end", () => {
    ended = true;
    // Who follows a stream and ends its half wants no more.
    if (followers.has(socket)) socket.destroy();
    else proceed();
  });
}

/** From now on the daemon talks; whatever else the client says is not heard. */
function follow(socket: Socket, { stream }: AdminStream, followers: Followers): void {
  if (socket.destroyed) return;
  const write = (item: unknown) => socket.write(`${JSON.stringify(item)}\n`);
  write({ ok: true, result: null } satisfies AdminReply);
  const stop = stream((item) => {
    if (socket.destroyed || socket.writableEnded) return;
    write(item);
    // The protocol never waits for a reader, and memory for one is bounded.
    if (socket.writableLength > MOST_UNREAD) socket.destroy();
  });
  followers.set(socket, () => {
    stop();
    socket.end(`${JSON.stringify({ end: "the daemon has stopped" } satisfies StreamEnd)}\n`, () => socket.destroy());
  });
  socket.on("close", () => {
    followers.delete(socket);
    stop();
  });
  socket.setTimeout(0);
  socket.resume();
}

async function answer(line: string, handle: Handler): Promise<AdminReply | AdminStream> {
  const request = parseAdminRequest(line);
  if ("error" in request) return { ok: false, error: request.error };
  try {
    return await handle(request);
  } catch (error) {
    return { ok: false, error: error instanceof Error ? error.message : String(error) };
  }
}
