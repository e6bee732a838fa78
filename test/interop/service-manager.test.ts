import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { DaemonProcess } from "../support/daemon-process.ts";
import { namespacesMissing } from "../support/namespaces.ts";
import { NotifyReceiver } from "../support/notify-receiver.ts";
import { TwoSites } from "../support/two-sites.ts";

const missing = namespacesMissing();
const UP_MS = 10_000;
const WATCHDOG_MS = 600;
const UP = "1 of 1 tunnel and 1 of 1 session are up";

let sites: TwoSites;
let receiver: NotifyReceiver;
let paris: DaemonProcess | undefined;

describe.skipIf(missing !== undefined)(`what a service manager is told${missing ? ` (${missing})` : ""}`, () => {
  beforeEach(() => {
    sites = new TwoSites();
    receiver = new NotifyReceiver(join(sites.directory, "notify"));
  });
  afterEach(() => {
    paris?.signal("SIGKILL");
    receiver.close();
    sites.remove();
  });

  /** As systemd would. */
  function startParis(environment: NodeJS.ProcessEnv): DaemonProcess {
    const { namespace, name } = sites.paris;
    const env = { ...process.env, ...environment };
    const spawner = {
      spawn: (...[command, args, options]: Parameters<typeof namespace.spawn>) =>
        namespace.spawn(command, args, { ...options, env }),
    };
    const configuration = sites.configuration(sites.paris, { lcce: 'datapath = "none"' });
    paris = new DaemonProcess(spawner, { name, directory: sites.directory, configuration });
    return paris;
  }

  const pings = () => receiver.read().filter(({ WATCHDOG }) => WATCHDOG === "1").length;
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

  test("from the start to the end", async () => {
    sites.start(sites.lyon, sites.configuration(sites.lyon, { lcce: 'datapath = "none"' }));
    const daemon = startParis({ NOTIFY_SOCKET: receiver.name, WATCHDOG_USEC: String(WATCHDOG_MS * 1000) });
    const ready = await receiver.until({ READY: "1" }, UP_MS);
    expect(ready).toEqual({ READY: "1", STATUS: expect.stringMatching(/ of 1 tunnel and . of 1 session are up$/) });
    await receiver.until({ STATUS: UP }, UP_MS);

    const good = daemon.configurationFile;
    const text = sites.configuration(sites.paris, { lcce: 'datapath = "none"' });
    writeFileSync(good, text.replace("peer ", "pear "));
    let from = receiver.read().length;
    daemon.signal("SIGHUP");
    await receiver.until({ RELOADING: "1", MONOTONIC_USEC: /^\d+$/ }, UP_MS, from);
    await receiver.until({ READY: "1", STATUS: /the configuration file is wrong now/ }, UP_MS, from);
    writeFileSync(good, text);
    from = receiver.read().length;
    expect(await daemon.command("reload")).toMatchObject({ code: 0 });
    await receiver.until({ READY: "1", STATUS: UP }, UP_MS, from);

    // A process that stands still gives no sign of life, and one that goes on gives them again.
    daemon.signal("SIGSTOP");
    await pause(100);
    const still = pings();
    await pause(2 * WATCHDOG_MS);
    expect(pings()).toBe(still);
    daemon.signal("SIGCONT");
    await receiver.until({ WATCHDOG: "1" }, UP_MS, receiver.heard.length);
    expect(still).toBeGreaterThan(1);

    from = receiver.read().length;
    expect(await daemon.stop("SIGTERM")).toMatchObject({ code: 0 });
    await receiver.until({ STOPPING: "1", STATUS: /^closing: / }, UP_MS, from);
  });

  test("of another process's watchdog nothing, and of a start that fails why", async () => {
    startParis({ NOTIFY_SOCKET: receiver.name, WATCHDOG_USEC: "100000", WATCHDOG_PID: "1" });
    await receiver.until({ READY: "1" }, UP_MS);
    await pause(300);
    expect(pings()).toBe(0);
    paris?.signal("SIGKILL");
    await paris?.exited;

    rmSync(sites.paris.adminSocket, { force: true });
    writeFileSync(sites.paris.adminSocket, "in the way");
    const daemon = startParis({ NOTIFY_SOCKET: receiver.name });
    await receiver.until({ STATUS: /^admin socket .* there is something else of that name$/ }, UP_MS);
    expect(await daemon.exited).toMatchObject({ code: 1 });
  });

  test("nobody listens: it runs all the same, and says so once", async () => {
    const daemon = startParis({ NOTIFY_SOCKET: "/run/nobody/here", WATCHDOG_USEC: "100000" });
    await daemon.untilLogged("ready", UP_MS, ({ event }) => event === "ready");
    await pause(400);
    const complaints = daemon.log.filter(({ event }) => event === "notify-failed");
    expect(complaints).toEqual([expect.objectContaining({ level: "warn" })]);
    expect(await daemon.stop("SIGTERM")).toMatchObject({ code: 0 });
  });
});
