import type { Site } from "../config/site.ts";
import { Lcce } from "../control/lcce.ts";
import { administer } from "./admin-commands.ts";
import { openAdminSocket } from "./admin-socket.ts";
import { chooseDatapath } from "./choose-datapath.ts";
import { SystemEntropy } from "./entropy.ts";
import { type Log, openLog } from "./log.ts";
import { rehearse } from "./rehearsal.ts";
import { ownRouterId } from "./router-id.ts";
import { monotonicNow, Shell } from "./shell.ts";
import { packageVersion } from "./version.ts";

export interface RunOptions {
  readonly site: Site;
  /** For the log. */
  readonly configPath: string;
}

/** The daemon, from start to stop. Resolves to the exit code: 0 after SIGTERM or SIGINT, 1 when it cannot start. */
export async function run({ site, configPath }: RunOptions): Promise<number> {
  const log = await openLog(site.lcce.logLevel);
  for (const warning of site.warnings) log.write({ level: "warn", event: "configuration-warning", message: warning });
  try {
    await serve(site, configPath, log);
    return 0;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    log.write({ level: "error", event: "start-failed", message });
    process.stderr.write(`l2tpv3-lcc: ${message}\n`);
    return 1;
  }
}

async function serve(site: Site, configPath: string, log: Log): Promise<void> {
  const { hostname, routerId, listen, adminSocket } = site.lcce;
  const version = packageVersion();
  const datapath = await chooseDatapath(site.lcce.datapath, log);
  const configuration = { hostname, routerId: routerId ?? ownRouterId(site), tunnels: site.tunnels };
  const entropy = new SystemEntropy();
  rehearse(entropy, monotonicNow());
  const core = new Lcce(configuration, entropy, monotonicNow());
  const shell = new Shell(core, datapath, log);
  const closeAll = async () => {
    shell.close();
    await datapath.close();
  };
  try {
    for (const local of listen) shell.transport.listen(local);
    const daemon = { site, core, shell, datapath, version };
    const admin = await openAdminSocket(adminSocket, (request) => administer(request, daemon));
    const stopped = stopSignal(shell, log);
    shell.accept({ type: "start" });
    log.write({
      level: "info",
      event: "ready",
      message: `l2tpv3-lcc ${version} is ready: ${site.tunnels.length} tunnels from ${configPath}, datapath ${datapath.name}`,
      details: { datapath: datapath.name, listen: listen.map(({ address, port }) => `${address}:${port}`).join(" ") },
    });
    // After the first SCCRQs are out: the thread is ready before the answers come.
    datapath.prepare();
    await stopped;
    await admin.close();
    log.write({ level: "info", event: "stopped", message: "l2tpv3-lcc has stopped" });
  } finally {
    await closeAll();
  }
}

/**
 * Resolves when a signal has asked for the end and every connection has had its StopCCN acknowledged, or given up on; a
 * second signal does not wait. A terminal that goes away (SIGHUP) ends the daemon like the others.
 */
function stopSignal(shell: Shell, log: Log): Promise<void> {
  return new Promise((resolve) => {
    let asked = false;
    const stop = (signal: NodeJS.Signals) => {
      if (asked) {
        resolve();
        return;
      }
      asked = true;
      const message = `${signal}: closing every control connection; again to stop at once`;
      log.write({ level: "info", event: "stopping", message });
      shell.accept({ type: "shutdown" });
      void shell.idle().then(resolve);
    };
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, stop);
  });
}
