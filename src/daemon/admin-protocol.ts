/**
 * What the admin socket speaks: one JSON object in a line is a request, one in a line is its reply, in the order of the
 * requests.
 */

export const SHOW_SUBJECTS = ["tunnels", "sessions", "counters"] as const;
export type ShowSubject = (typeof SHOW_SUBJECTS)[number];

/** The subjects of `show` that need a NAME and are told in words: the request has the name alone. */
export const SHOW_IN_WORDS = ["tunnel", "session"] as const;

export interface ShowRequest {
  readonly command: "show";
  readonly what?: ShowSubject;
  /** A tunnel, a session, or TUNNEL/SESSION. Absent: everything. */
  readonly name?: string;
}

export interface OpenCloseRequest {
  readonly command: "open" | "close";
  readonly tunnel: string;
  /** Absent: the tunnel with all its sessions. */
  readonly session?: string;
}

/** Read the configuration file again, and apply what can be applied. */
export interface ReloadRequest {
  readonly command: "reload";
  /** Only tell what that would do. */
  readonly dryRun?: boolean;
}

/**
 * The reply is followed by events, each an object in a line, until either end closes: the client by ending its half of
 * the connection, the daemon with a `StreamEnd`. Whoever reads too slowly is cut off without one.
 */
export interface EventsRequest {
  readonly command: "events";
}

/** The same with the control messages of a tunnel, as they pass. */
export interface TraceRequest {
  readonly command: "trace";
  readonly tunnel: string;
  /** Show hidden values, cookies, nonces, digests and challenges. */
  readonly secrets: boolean;
}

export interface StreamEnd {
  /** Why nothing follows, a sentence. */
  readonly end: string;
}

export type AdminRequest = ShowRequest | OpenCloseRequest | ReloadRequest | EventsRequest | TraceRequest;

export type AdminReply =
  | { readonly ok: true; readonly result: unknown }
  /** A sentence. */
  | { readonly ok: false; readonly error: string };

export interface AdminRefusal {
  readonly error: string;
}

/** The request in a line, or why there is none. */
export function parseAdminRequest(line: string): AdminRequest | AdminRefusal {
  let request: unknown;
  try {
    request = JSON.parse(line);
  } catch {
    return { error: "not a JSON object" };
  }
  if (typeof request !== "object" || request === null || Array.isArray(request)) return { error: "not a JSON object" };
  const fields: Readonly<Record<string, unknown>> = { ...request };
  const command = fields["command"];
  if (command === "show") return parseShow(fields);
  if (command === "open" || command === "close") return parseOpenClose(command, fields);
  if (command === "reload") return parseReload(fields);
  if (command === "events") return { command };
  if (command === "trace") return parseTrace(fields);
  return { error: `unknown command ${JSON.stringify(command)}` };
}

function parseReload({ dryRun = false }: Readonly<Record<string, unknown>>): ReloadRequest | AdminRefusal {
  if (typeof dryRun !== "boolean") return { error: 'reload: "dryRun" has to be true or false' };
  return { command: "reload", ...(dryRun ? { dryRun } : {}) };
}

function parseShow({ what, name }: Readonly<Record<string, unknown>>): ShowRequest | AdminRefusal {
  const subject = SHOW_SUBJECTS.find((each) => each === what);
  if (what !== undefined && subject === undefined) return { error: `show: unknown "what" ${JSON.stringify(what)}` };
  if (name !== undefined && typeof name !== "string") return { error: 'show: "name" has to be a string' };
  return {
    command: "show",
    ...(subject === undefined ? {} : { what: subject }),
    ...(name === undefined ? {} : { name }),
  };
}

function parseTrace({ tunnel, secrets }: Readonly<Record<string, unknown>>): TraceRequest | AdminRefusal {
  if (typeof tunnel !== "string" || tunnel === "") return { error: 'trace: "tunnel" has to be a name' };
  if (typeof secrets !== "boolean") return { error: 'trace: "secrets" has to be true or false' };
  return { command: "trace", tunnel, secrets };
}

function parseOpenClose(
  command: "open" | "close",
  { tunnel, session }: Readonly<Record<string, unknown>>,
): OpenCloseRequest | AdminRefusal {
  if (typeof tunnel !== "string" || tunnel === "") return { error: `${command}: "tunnel" has to be a name` };
  if (session === undefined) return { command, tunnel };
  if (typeof session !== "string" || session === "") return { error: `${command}: "session" has to be a name` };
  return { command, tunnel, session };
}
