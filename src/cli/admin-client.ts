import { connect } from "node:net";
import { DEFAULT_ADMIN_SOCKET } from "../config/site.ts";
import type { AdminReply, AdminRequest } from "../daemon/admin-protocol.ts";
import type { DaemonAddress } from "./arguments.ts";
import { complain, EXIT, printable, type Terminal } from "./terminal.ts";

/** How long a daemon may think about an answer. */
const PATIENCE_MS = 30_000;

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such socket",
  ECONNREFUSED: "nobody listens there",
  EACCES: "permission denied",
};

/**
 * Puts one request to the daemon and hands the result to `done`, which returns the exit code. Complaints, those of the
 * daemon included, are one line.
 */
export async function askDaemon(
  address: DaemonAddress,
  request: AdminRequest,
  terminal: Terminal,
  done: (result: unknown) => number,
): Promise<number> {
  const path = await socketPath(address, terminal);
  if (path === undefined) return EXIT.wrongUsage;
  const reply = await ask(path, request);
  if (reply.ok) return done(reply.result);
  complain(terminal, printable(reply.error));
  return EXIT.failed;
}

export async function socketPath({ conf, socket }: DaemonAddress, terminal: Terminal): Promise<string | undefined> {
  if (socket !== undefined) return socket;
  if (conf === undefined) return DEFAULT_ADMIN_SOCKET;
  // Loaded only here: without a file a command starts in half the time.
  const { loadOrExplain } = await import("./load-or-explain.ts");
  return loadOrExplain(conf, terminal)?.lcce.adminSocket;
}

/** The daemon's reply, or why there is none. Never rejects. */
export function ask(path: string, request: AdminRequest): Promise<AdminReply> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const fail = (reason: string) => {
      socket.destroy();
      resolve(noDaemon(path, reason));
    };
    let received = "";
    socket.setEncoding("utf8");
    socket.setTimeout(PATIENCE_MS, () => fail("no answer"));
    socket.on("connect", () => socket.end(`${JSON.stringify(request)}\n`));
    socket.on("error", (error) => fail(reasonOf(error)));
    socket.on("data", (text: string) => {
      received += text;
    });
    socket.on("end", () => {
      const reply = parseReply(received);
      if (reply === undefined) fail("it ended the connection without an answer");
      else resolve(reply);
    });
  });
}

export function noDaemon(path: string, reason: string): Extract<AdminReply, { readonly ok: false }> {
  return { ok: false, error: `no daemon at ${path}: ${reason}` };
}

/** Why there is nobody at a socket. */
export function reasonOf(error: NodeJS.ErrnoException): string {
  return REASONS[error.code ?? ""] ?? error.message;
}

export function parseReply(text: string): AdminReply | undefined {
  let reply: unknown;
  try {
    reply = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof reply !== "object" || reply === null || !("ok" in reply)) return undefined;
  if (reply.ok === true && "result" in reply) return { ok: true, result: reply.result };
  if (reply.ok === false && "error" in reply) return { ok: false, error: String(reply.error) };
  return undefined;
}
