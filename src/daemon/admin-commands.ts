import { didYouMean } from "../config/did-you-mean.ts";
import type { Instant } from "../control/core.ts";
import type { Lcce } from "../control/lcce.ts";
import type { Datapath } from "../kernel/datapath.ts";
import type {
  AdminReply,
  AdminRequest,
  OpenCloseRequest,
  ReloadRequest,
  ShowRequest,
  TraceRequest,
} from "./admin-protocol.ts";
import type { AdminStream } from "./admin-socket.ts";
import type { EventFeed } from "./event-feed.ts";
import type { MessageTap } from "./message-tap.ts";
import type { Reloader, ReloadReport } from "./reload.ts";
import { sessionMtus } from "./session-mtus.ts";
import { monotonicNow, type Shell } from "./shell.ts";
import { answerShow, buildShowReport } from "./show-report.ts";

const STOPPING: AdminReply = { ok: false, error: "the daemon is stopping" };

/** What the admin socket's requests act on. */
export interface Administered {
  readonly lcce: Pick<Lcce, "view" | "details">;
  readonly shell: Shell;
  readonly datapath: Datapath;
  readonly version: string;
  readonly reloader: Reloader;
  /** Reads the configuration again, as whoever is told of it has to be told. */
  reload(): ReloadReport;
  readonly feed: Pick<EventFeed, "subscribe">;
  readonly tap: Pick<MessageTap, "trace">;
}

export async function administer(request: AdminRequest, daemon: Administered): Promise<AdminReply | AdminStream> {
  switch (request.command) {
    case "show":
      return show(request, daemon);
    case "open":
    case "close":
      return openOrClose(request, daemon);
    case "reload":
      return reload(request, daemon);
    case "events":
      return { stream: (tell) => daemon.feed.subscribe(tell) };
    case "trace":
      return trace(request, daemon);
  }
}

function reload({ dryRun }: ReloadRequest, daemon: Administered): AdminReply {
  if (daemon.shell.stopping) return STOPPING;
  return { ok: true, result: dryRun === true ? daemon.reloader.plan() : daemon.reload() };
}

async function show(request: ShowRequest, { lcce, datapath, version }: Administered): Promise<AdminReply> {
  // Counters that cannot be had must not hide the rest.
  const counters = await datapath.counters().catch(() => []);
  const startedAt = Date.now() - monotonicNow();
  const toDate = (instant: Instant) => new Date(startedAt + instant);
  // Without a datapath a device of that name is somebody else's.
  const mtus = datapath.name === "none" ? new Map() : await sessionMtus(lcce.view());
  // Both at once: a reload may have come in between.
  const [view, details] = [lcce.view(), lcce.details()];
  return answerShow(
    buildShowReport({ view, details, counters, mtus, datapath: datapath.name, version, toDate }),
    request,
  );
}

function openOrClose({ command, tunnel, session }: OpenCloseRequest, { reloader, shell }: Administered): AdminReply {
  if (shell.stopping) return STOPPING;
  const { site } = reloader;
  const configured = site.tunnels.find(({ name }) => name === tunnel);
  if (configured === undefined) return unknown("tunnel", tunnel, site.tunnels);
  const found = session === undefined || configured.sessions.some(({ name }) => name === session);
  if (!found) return unknown(`session of tunnel ${tunnel}`, session, configured.sessions);
  shell.accept({ type: command, tunnel, ...(session === undefined ? {} : { session }) });
  return { ok: true, result: null };
}

function trace({ tunnel, secrets }: TraceRequest, { reloader, tap }: Administered): AdminReply | AdminStream {
  const { site } = reloader;
  if (!site.tunnels.some(({ name }) => name === tunnel)) return unknown("tunnel", tunnel, site.tunnels);
  return { stream: (tell) => tap.trace({ tunnel, secrets, tell }) };
}

function unknown(what: string, name: string, known: readonly { readonly name: string }[]): AdminReply {
  const names = known.map((each) => each.name);
  return { ok: false, error: `there is no ${what} named ${JSON.stringify(name)}${didYouMean(name, names)}` };
}
