import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { setImmediate as nextRound } from "node:timers/promises";
import { parseHttpAddress } from "../config/format.ts";
import { CONTENT_TYPES, ENDS, exposition, formatFor } from "./exposition.ts";
import type { MetricsSource } from "./metric-rows.ts";
import { METRICS } from "./metrics.ts";

const MOST_CLIENTS = 16;
/** Far above what a scraper sends. */
const LONGEST_HEADERS = 8_192;

export interface MetricsLimits {
  /** How long a client may take for a request, and how long for the answer, in milliseconds. */
  readonly clientMs?: number;
}

export interface MetricsServer {
  /** The one that it listens at. */
  readonly port: number;
  /** Drops every client. */
  close(): Promise<void>;
}

/**
 * Serves GET /metrics at `address`, which is "127.0.0.1:9101" or "[::1]:9101". Rejects with an `Error` that names it where
 * nobody can listen there.
 */
export async function openMetricsServer(
  address: string,
  gather: () => Promise<MetricsSource>,
  { clientMs = 10_000 }: MetricsLimits = {},
): Promise<MetricsServer> {
  const shared = sharing(gather);
  const options = {
    maxHeaderSize: LONGEST_HEADERS,
    headersTimeout: clientMs,
    requestTimeout: clientMs,
    connectionsCheckingInterval: Math.min(clientMs, 1_000),
  };
  const server = createServer(options, (request, response) => void serve(request, response, shared, clientMs));
  server.maxConnections = MOST_CLIENTS;
  await listen(server, address);
  const bound = server.address();
  return {
    port: typeof bound === "object" && bound !== null ? bound.port : 0,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function listen(server: Server, address: string): Promise<void> {
  const { address: host, port } = parseHttpAddress(address) ?? { address: "", port: 0 };
  try {
    server.listen({ host, port, exclusive: true });
    await once(server, "listening");
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`metrics at ${address}: ${reason}`, { cause });
  }
  // What accept() reports later (EMFILE) concerns one client, not the daemon.
  server.on("error", () => undefined);
}

/** Whoever asks while others wait for the answer gets the same one: however many ask, the datapath is asked once. */
function sharing<T>(gather: () => Promise<T>): () => Promise<T> {
  let pending: Promise<T> | undefined;
  return () => {
    pending ??= gather().finally(() => {
      pending = undefined;
    });
    return pending;
  };
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  gather: () => Promise<MetricsSource>,
  clientMs: number,
): Promise<void> {
  // A body that nobody asked for is not waited for.
  request.resume();
  const timer = setTimeout(() => response.destroy(), clientMs);
  response.on("close", () => clearTimeout(timer));
  try {
    const refusal = refusalOf(request);
    if (refusal === undefined) await answer(request, response, await gather());
    else refuse(response, ...refusal);
  } catch {
    // The client has gone, or an error of ours: its connection says all that there is to say.
    response.destroy();
  }
}

function refusalOf({ method, url = "" }: IncomingMessage): readonly [status: number, words: string] | undefined {
  if (url.split("?")[0] !== "/metrics") return [404, "There is nothing here but /metrics."];
  return method === "GET" ? undefined : [405, "Metrics can be read, with GET."];
}

function refuse(response: ServerResponse, status: number, words: string): void {
  const allow = status === 405 ? { Allow: "GET" } : {};
  response.writeHead(status, { "Content-Type": "text/plain; charset=utf-8", Connection: "close", ...allow });
  response.end(`${words}\n`);
}

/** Piece by piece: in between, others have their turn, and a slow client is waited for. */
async function answer(request: IncomingMessage, response: ServerResponse, source: MetricsSource): Promise<void> {
  const format = formatFor(request.headers.accept);
  response.writeHead(200, { "Content-Type": CONTENT_TYPES[format], "Cache-Control": "no-store" });
  for (const metric of METRICS) {
    for (const text of exposition(metric, metric.samples(source), format)) {
      if (!response.write(text)) await drained(response);
      await nextRound();
      if (response.destroyed) return;
    }
  }
  response.end(ENDS[format]);
}

/** Or gone. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      response.off("drain", go).off("close", go);
      resolve();
    };
    response.on("drain", go).on("close", go);
  });
}
