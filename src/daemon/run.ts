import { fstatSync } from "node:fs";
import { listenWithin } from "../config/listen.ts";
import type { Site } from "../config/site.ts";
import { Lcce } from "../control/lcce.ts";
import type { DatapathEvents } from "../kernel/datapath.ts";
import { administer } from "./admin-commands.ts";
import { openAdminSocket } from "./admin-socket.ts";
import { chooseDatapath } from "./choose-datapath.ts";
import { SystemEntropy } from "./entropy.ts";
import { EventFeed } from "./event-feed.ts";
import { Following } from "./following.ts";
import { bequeath, untilStopped } from "./hand-over.ts";
import { Hooks } from "./hooks.ts";
import { listenAt } from "./listen.ts";
import { Listeners, listenText } from "./listeners.ts";
import { type Log, type LogEntry, type OpenedLog, openLog } from "./log.ts";
import { MessageTap } from "./message-tap.ts";
import { Namespaces } from "./namespaces.ts";
import { Recorder } from "./recorder.ts";
import { RecordingFile } from "./recording-file.ts";
import { rehearse } from "./rehearsal.ts";
import { Reloader } from "./reload.ts";
import { ownRouterId } from "./router-id.ts";
import { monotonicNow, Shell } from "./shell.ts";
import type { StopSignals } from "./stop-signals.ts";
import { Succession } from "./succession.ts";
import { Surroundings } from "./surroundings.ts";
import { ServiceManager } from "./systemd.ts";
import { openTelemetry, type Telemetry } from "./telemetry.ts";
import { type Transition, Transitions } from "./transitions.ts";
import { packageVersion } from "./version.ts";
import { Watches } from "./watches.ts";

/** So long nothing that is due waits for its turn, however much there is to do. */
const STUCK_MS = 10_000;

export interface RunOptions {
  readonly site: Site;
  /** Where `site` is from, to be read again on request. */
  readonly configPath: string;
  readonly signals: StopSignals;
  /** A file that must not exist yet: every input is recorded there. */
  readonly recordPath: string | undefined;
}

/** The daemon, from start to stop. Resolves to the exit code: 0 after SIGTERM or SIGINT, 1 when it cannot start. */
export async function run(options: RunOptions): Promise<number> {
  const { site } = options;
  const log = await openLog(site.lcce.logLevel);
  const manager = new ServiceManager(process.env, log);
  for (const warning of site.warnings) log.write({ level: "warn", event: "configuration-warning", message: warning });
  try {
    await serve(options, log, manager);
    log.write({ level: "info", event: "stopped", message: "l2tpv3-lcc has stopped" });
    return 0;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    log.write({ level: "error", event: "start-failed", message });
    if (tellsApart()) process.stderr.write(`l2tpv3-lcc: ${message}\n`);
    manager.failed(message);
    return 1;
  }
}

/** Whether standard error is read by somebody, or somewhere, that the log on standard output does not reach. */
function tellsApart(): boolean {
  if (process.stderr.isTTY) return true;
  try {
    const [log, errors] = [fstatSync(1), fstatSync(2)];
    return log.dev !== errors.dev || log.ino !== errors.ino;
  } catch {
    return true;
  }
}

async function serve(options: RunOptions, ownLog: OpenedLog, manager: ServiceManager): Promise<void> {
  const { site, configPath, signals, recordPath } = options;
  const feed = new EventFeed(() => transitions.review());
  const log = feed.tee(ownLog);
  const { hostname, routerId, adminSocket, metrics } = site.lcce;
  const version = packageVersion();
  const recording = recordPath === undefined ? undefined : openRecording(recordPath, log);
  // A recording that begins in the middle could not be replayed.
  const isKept = recording === undefined;
  const succession = await Succession.open(process.env, { notify: manager.notifySocket, isKept }, site, log);
  const events: DatapathEvents = {
    sessionLost: (localSessionId, reason) => shell.accept({ type: "session-refused", localSessionId, reason }),
    tunnelLost: (localControlConnectionId, reason) => shell.tunnelLost(localControlConnectionId, reason),
    portChanged: (interfaceName, condition, netns) =>
      shell.accept({ type: "circuit", interfaceName, ...(netns === undefined ? {} : { netns }), condition }),
    noticed: ({ interfaceName, netns, ...notice }) =>
      log.write({ ...notice, details: { interface: interfaceName, ...(netns === undefined ? {} : { netns }) } }),
  };
  const datapath = await chooseDatapath(site, log, events, succession?.adopted);
  const configuration = { hostname, routerId: routerId ?? ownRouterId(site), tunnels: site.tunnels };
  const entropy = new SystemEntropy();
  rehearse(entropy, monotonicNow());
  const now = monotonicNow();
  const recorder = recording && new Recorder(recording, version, configuration, now);
  const lcce =
    (await succession?.core(configuration, entropy, now)) ??
    new Lcce(configuration, recorder?.entropy(entropy) ?? entropy, now);
  const hooks = new Hooks(site.hooks, log);
  const tellTransition = (transition: Transition) => {
    hooks.tell(transition);
    feed.tellTransition(transition);
  };
  const transitions = new Transitions(tellTransition, () => hooks.wanted || feed.wanted);
  const taken = recorder?.core(lcce) ?? lcce;
  const core = transitions.watch(succession?.watch(taken, lcce, site) ?? taken);
  const tap = new MessageTap(lcce, (id) => shell.transport.local(id));
  const tunnels = succession?.tunnels(site) ?? site.tunnels;
  const shell = new Shell(core, datapath, manager.following(log), tunnels, { tap, keeping: succession });
  const listeners = new Listeners(shell.transport, log, site.lcce.freebind);
  const { transport: sockets, protection } = shell;
  const namespaces = new Namespaces(site, { core: shell, sockets, listeners, datapath, protection, log });
  const surroundings = new Surroundings({ core: shell, sockets, listeners });
  const changes = { changed: () => surroundings.changed(), policiesChanged: () => protection.changed() };
  const watches = new Watches(site, { core: shell, log, surroundings: changes });
  let telemetry: Telemetry | undefined;
  const closeAll = async () => {
    shell.close();
    hooks.stop();
    await Promise.all([telemetry?.close(), watches.close(), namespaces.close()]);
    await datapath.close();
    protection.close();
    await succession?.end();
    manager.close();
    recording?.close();
  };
  try {
    // Before the listeners: what comes in between is not missed.
    protection.begin();
    succession?.takeOver(shell, datapath, site);
    watches.startSurroundings();
    await listenAt(listeners, site, log);
    await namespaces.start();
    await succession?.settle();
    const following = new Following({ log, hooks, transitions, listeners, namespaces, watches, shell });
    const reloader = new Reloader(site, configPath, (before, after) => following.follow(before, after), log);
    const reload = () => manager.reloading(() => reloader.reload());
    signals.onHangUp(() => shell.stopping || reload());
    const daemon = { lcce, shell, datapath, version, reloader, reload, feed, tap };
    if (metrics !== undefined) telemetry = await openTelemetry(metrics, { lcce, datapath, hooks, version }, log);
    const admin = await openAdminSocket(adminSocket, (request) => administer(request, daemon));
    await watches.startCircuits();
    succession?.tellCircuits(lcce, shell);
    shell.accept({ type: "start" });
    log.write(readiness(site, version, configPath, datapath.name));
    manager.ready({ view: () => core.view(), alive: () => shell.overdueMs < STUCK_MS && datapath.responds() });
    // After the first SCCRQs are out: the thread is ready before the answers come.
    datapath.prepare();
    succession?.arrive();
    const signal = await untilStopped(signals, { succession, shell, hooks, log, manager, configPath });
    const message = `${signal}: closing every control connection; again to stop at once`;
    log.write({ level: "info", event: "stopping", message });
    manager.stopping();
    shell.accept({ type: "shutdown" });
    // Every StopCCN acknowledged, or given up on after a retransmission cycle.
    await Promise.race([shell.idle(), signals.second]);
    transitions.look();
    await admin.close();
    await Promise.race([hooks.finish(), signals.second]);
  } finally {
    if (succession?.isHeir === true) await bequeath(succession, shell);
    else await closeAll();
  }
}

function readiness(site: Site, version: string, configPath: string, datapath: string): LogEntry {
  const tunnels = site.tunnels.length === 1 ? "1 tunnel" : `${site.tunnels.length} tunnels`;
  return {
    level: "info",
    event: "ready",
    message: `l2tpv3-lcc ${version} is ready: ${tunnels} from ${configPath}, datapath ${datapath}`,
    details: { datapath, listen: listenWithin(site, undefined).map(listenText).join(" ") },
  };
}

function openRecording(path: string, log: Log): RecordingFile {
  const recording = RecordingFile.create(path, ({ message }) => {
    const words = `nothing more is recorded in ${path}: ${message}`;
    log.write({ level: "warn", event: "recording-stopped", message: words });
  });
  const words = `recording every input in ${path}, without secrets; replay it with l2tpv3-lcc replay ${path}`;
  log.write({ level: "info", event: "recording", message: words });
  return recording;
}
