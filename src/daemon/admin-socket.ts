import { chmod, lstat, mkdir, unlink } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { type AdminReply, type AdminRequest, parseAdminRequest } from "./admin-protocol.ts";

/** Octets of one request, far above what any command needs. */
const LONGEST_LINE = 16_384;
const IDLE_MS = 10_000;
const MOST_CLIENTS = 32;

export interface AdminSocketLimits {
  /** How long a client may say nothing, in milliseconds. */
  readonly idleMs?: number;
}

export interface AdminSocket {
  /** Drops every client and removes the socket. */
  close(): Promise<void>;
}

/**
 * Serves the admin protocol on a Unix socket that owner and group alone can use. Makes the directory if it is missing and
 * replaces the socket that a dead daemon left; rejects with an `Error` that names the path where a living one answers.
 */
export async function openAdminSocket(
  path: string,
  handle: (request: AdminRequest) => Promise<AdminReply>,
  limits: AdminSocketLimits = {},
): Promise<AdminSocket> {
  await makeDirectory(dirname(path));
  await removeStale(path);
  const clients = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    clients.add(socket);
    socket.on("close", () => clients.delete(socket));
    serve(socket, handle, limits.idleMs ?? IDLE_MS);
  });
  server.maxConnections = MOST_CLIENTS;
  await listen(server, path);
  return {
    close: () =>
      new Promise((resolve) => {
        // Closing the server removes the socket from the file system too.
        server.close(() => resolve());
        for (const client of clients) client.destroy();
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

function serve(socket: Socket, handle: (request: AdminRequest) => Promise<AdminReply>, idleMs: number): void {
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
  const proceed = () => {
    if (answering || socket.destroyed) return;
    const end = waiting.indexOf("\n");
    if (end >= 0) {
      const line = waiting.slice(0, end);
      waiting = waiting.slice(end + 1);
      answering = true;
      void answer(line, handle).then((reply) => {
        answering = false;
        send(reply);
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
    if (ended) return;
    waiting += text;
    const lineLength = waiting.includes("\n") ? waiting.indexOf("\n") : waiting.length;
    if (lineLength > LONGEST_LINE) return refuse(`request longer than ${LONGEST_LINE} octets`);
    // One request at a time: the rest stays with the client.
    socket.pause();
    proceed();
  });
  socket.on("end", () => {
    ended = true;
    proceed();
  });
}

async function answer(line: string, handle: (request: AdminRequest) => Promise<AdminReply>): Promise<AdminReply> {
  const request = parseAdminRequest(line);
  if ("error" in request) return { ok: false, error: request.error };
  try {
    return await handle(request);
  } catch (error) {
    return { ok: false, error: error instanceof Error ? error.message : String(error) };
  }
}
