/** Two sites in network namespaces, the real daemon in each, and a pseudowire with real traffic between them. */
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { performance } from "node:perf_hooks";
import type { CounterReport, TunnelReport } from "../src/daemon/show-report.ts";
import { type DaemonProcess, until } from "../test/support/daemon-process.ts";
import { execute, namespacesMissing } from "../test/support/namespaces.ts";
import { TwoSites } from "../test/support/two-sites.ts";
import { began, coloured, follow, watch } from "./narration.ts";
import { lines, must, paint, StepFailed, section, step } from "./terminal.ts";

const UP_DEADLINE_MS = 15_000;
/** Hello interval and retransmissions of the configuration used here make 4 s. */
const NOTICE_DEADLINE_MS = 12_000;
const GONE_DEADLINE_MS = 3_000;
const INTERRUPTED = 130;

async function demonstrate(sites: TwoSites): Promise<void> {
  await step("two network namespaces joined by veth", () => {
    const { paris, lyon } = sites;
    const devices = [...paris.namespace.devices(), ...lyon.namespace.devices()];
    must(devices.join() === "wan,wan", `unexpected devices ${devices.join(", ")}`);
    return `${paris.namespace.name} has ${paris.address}, ${lyon.namespace.name} has ${lyon.address}`;
  });

  section("Both daemons start; the handshake as it happens");
  const wire = await watch(sites);
  const lyon = follow(sites.start(sites.lyon));
  await step("the daemon of lyon runs and waits for its peer", () => datapath(lyon));
  const paris = follow(sites.start(sites.paris));
  await step("the daemon of paris runs", () => datapath(paris));
  await step("control connection and session are established at both ends", async () => {
    const [a, b] = await Promise.all([paris.untilUp(UP_DEADLINE_MS), lyon.untilUp(UP_DEADLINE_MS)]);
    return agreement(a, b);
  });

  section("What each site shows");
  await step("show tells of the tunnel and its session", async () => `${await table(paris)}, ${await table(lyon)}`);

  section("Traffic through the pseudowire");
  await step("ping from paris to lyon", () => ping(sites, 5));
  await step("TCP from paris to lyon", () => transfer(sites));
  await step("the session's counters agree with it", () => counters(paris, lyon));

  section("The cable is cut");
  sites.link.cut();
  await step("both ends notice by themselves", () => notice(paris, lyon));

  section("The cable is whole again");
  sites.link.restore();
  await step("both ends come back by themselves", async () => {
    const start = performance.now();
    await Promise.all([paris.untilUp(UP_DEADLINE_MS), lyon.untilUp(UP_DEADLINE_MS)]);
    return `established again after ${seconds(start)}`;
  });
  await step("ping through the new session", () => ping(sites, 3));

  section("Both daemons are stopped");
  await step("paris ends on SIGTERM, and lyon hears its StopCCN", () => stopAndHear(paris, lyon));
  await step("lyon ends on SIGTERM", () => stop(lyon));
  await wire.stop();
  await step("neither devices nor processes nor admin sockets are left", () => nothingLeft(sites));
  await step("the namespaces and files are removed", () => removed(sites));
}

async function datapath(daemon: DaemonProcess): Promise<string> {
  const report = await until(`${daemon.name} answers show`, UP_DEADLINE_MS, () => daemon.show());
  return `process ${daemon.pid} uses the ${report.datapath} datapath`;
}

function agreement(a: TunnelReport, b: TunnelReport): string {
  const [one, other] = [a.sessions[0], b.sessions[0]];
  must(a.local_ccid === b.remote_ccid && a.remote_ccid === b.local_ccid, "the control connection ids do not agree");
  must(one !== undefined && one.local_session_id === other?.remote_session_id, "the session ids do not agree");
  must(one?.remote_session_id === other?.local_session_id, "the session ids do not agree");
  return `connection ids ${a.local_ccid} and ${b.local_ccid}, session ids ${one?.local_session_id} and ${other?.local_session_id}`;
}

async function table(daemon: DaemonProcess): Promise<string> {
  const { code, stdout, stderr } = await daemon.command("show");
  must(code === 0, `show failed at ${daemon.name}: ${stderr}`);
  console.log(`${coloured(daemon.name)}$ l2tpv3-lcc show`);
  lines(stdout);
  must(stdout.includes("established"), `show at ${daemon.name} does not say "established"`);
  return daemon.name;
}

async function ping(sites: TwoSites, count: number): Promise<string> {
  const { sent, received, averageMs } = await sites.ping(sites.paris, count);
  must(received === sent, `${received} of ${sent} echoes came back`);
  return `${received} of ${sent} echoes came back, ${averageMs.toFixed(1)} ms on average`;
}

async function transfer(sites: TwoSites): Promise<string> {
  const { octetsSent, octetsReceived, seconds: duration } = await sites.transfer(sites.paris, 3);
  must(octetsSent > 0 && octetsReceived === octetsSent, `${octetsReceived} of ${octetsSent} octets arrived`);
  const rate = (octetsReceived * 8) / duration / 1e6;
  return `${(octetsReceived / 1e6).toFixed(0)} MB in ${duration.toFixed(1)} s, ${rate.toFixed(0)} Mbit/s`;
}

async function counters(paris: DaemonProcess, lyon: DaemonProcess): Promise<string> {
  const [sent, received] = [await sessionCounters(paris), await sessionCounters(lyon)];
  must(sent.sent_packets > 0 && sent.received_packets > 0, "the counters of paris have not moved");
  must(received.sent_packets > 0 && received.received_packets > 0, "the counters of lyon have not moved");
  return `paris sent ${sent.sent_packets} packets, lyon received ${received.received_packets}`;
}

async function sessionCounters(daemon: DaemonProcess): Promise<CounterReport> {
  const counted = (await daemon.tunnel())?.sessions[0]?.counters;
  if (counted === undefined) throw new Error(`${daemon.name} shows no session`);
  return counted;
}

async function notice(...daemons: readonly DaemonProcess[]): Promise<string> {
  const start = performance.now();
  const noticed = daemons.map(async (daemon) => {
    const { state, last_error } = await daemon.untilTunnel(
      "control connection down",
      NOTICE_DEADLINE_MS,
      (tunnel) => tunnel.state !== "established" && tunnel.last_error !== "",
    );
    return `${daemon.name} after ${seconds(start)}, now ${state} (${last_error})`;
  });
  return (await Promise.all(noticed)).join("; ");
}

async function stopAndHear(stopped: DaemonProcess, hearing: DaemonProcess): Promise<string> {
  const from = hearing.log.length;
  const text = await stop(stopped);
  const heard = await hearing.untilLogged("StopCCN", 5_000, ({ message }) => message.includes("StopCCN"), from);
  return `${text}; ${hearing.name}: ${heard.message}`;
}

async function stop(daemon: DaemonProcess): Promise<string> {
  const { code, signal, afterMs } = await daemon.stop("SIGTERM");
  must(code === 0, `${daemon.name} ended with ${code ?? signal}`);
  return `exit code 0 after ${(afterMs / 1000).toFixed(1)} s`;
}

async function nothingLeft({ paris, lyon }: TwoSites): Promise<string> {
  for (const { name, namespace, adminSocket } of [paris, lyon]) {
    // The kernel removes the devices of a closed tunnel in the background.
    const found = () => namespace.devices().filter((device) => device !== "wan");
    await until(`the devices of ${name} are gone`, GONE_DEADLINE_MS, () => found().length === 0);
    must(namespace.processes().length === 0, `${name} still has processes ${namespace.processes().join(", ")}`);
    must(!existsSync(adminSocket), `${adminSocket} is still there`);
  }
  return "each namespace has its loopback and the cable";
}

async function removed(sites: TwoSites): Promise<string> {
  sites.remove();
  const { stdout } = await execute("ip", ["netns", "list"]);
  for (const { namespace } of [sites.paris, sites.lyon]) {
    must(!stdout.split(/\s+/).includes(namespace.name), `${namespace.name} is still there`);
  }
  must(!existsSync(sites.directory), `${sites.directory} is still there`);
  return "";
}

function seconds(start: number): string {
  return `${((performance.now() - start) / 1000).toFixed(1)} s`;
}

async function main(): Promise<number> {
  const missing = namespacesMissing();
  if (missing !== undefined) {
    console.error(`The demonstration makes network namespaces, and so ${missing}.`);
    return 1;
  }
  let sites: TwoSites | undefined;
  const interrupt = (signal: NodeJS.Signals) => {
    console.log(`\n${signal} (${constants.signals[signal]}): removing everything`);
    sites?.remove();
    process.exit(INTERRUPTED);
  };
  process.on("SIGINT", interrupt).on("SIGTERM", interrupt);
  // Nobody reads any more, as with "| head": what was made is removed on exit.
  process.stdout.on("error", () => process.exit(1));
  try {
    section("Two sites and a cable between them");
    sites = new TwoSites();
    await demonstrate(sites);
    console.log(`\n${paint("green", "Everything was seen.")} It took ${seconds(began)}.`);
    return 0;
  } catch (error) {
    if (!(error instanceof StepFailed)) console.log(error);
    console.log(`\n${paint("red", "Not everything was seen.")}`);
    return 1;
  } finally {
    sites?.remove();
  }
}

process.exitCode = await main();
