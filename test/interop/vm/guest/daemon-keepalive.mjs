// The keepalive on the kernel's datapath, where only counters tell the daemon that frames arrive.
import { bothUp, check, equal, leftIn, note, SOON_MS, scenario, sleep, startBoth, within } from "./daemon-lab.mjs";

const WATCHED_MS = 3_000;

function settings(host) {
  return {
    lcce: { log_level: "trace" },
    tunnel: { retransmit: { initial: "200ms", retries: 3, sccrq_retries: 3 } },
    sessions: { lan: { interface: "l2-lan", addresses: [`192.168.7.${host}/24`] } },
  };
}

/** HELLO messages that either end sent in the next seconds. */
async function hellosSent(daemons, milliseconds) {
  const from = performance.now();
  await sleep(milliseconds);
  const sent = ({ at, event, message }) => at >= from && event === "message-sent" && /HELLO/i.test(message);
  return daemons.flatMap((daemon) => daemon.lines(sent)).length;
}

async function checkTrafficIsEnough(sites, a, b) {
  const { local_ccid } = await a.tunnel();
  const idle = await hellosSent([a, b], WATCHED_MS);
  check(
    "without traffic a HELLO goes out every second",
    idle >= 2 && idle <= 2 * (WATCHED_MS / 1000 + 1),
    `${idle} were sent`,
  );
  const pings = sites.a.ping("192.168.7.2", { count: 50, interval: 0.1 });
  // What was silence before the traffic may still end in a HELLO.
  await sleep(1_500);
  equal("while frames arrive no HELLO goes out", await hellosSent([a, b], WATCHED_MS), 0);
  check("they were frames of the pseudowire", await pings);
  equal("the connection is still the same", (await a.tunnel()).local_ccid, local_ccid);
}

async function checkCut(sites, a, b) {
  const before = await a.tunnel();
  sites.b.ip("link", "set", "wire", "down");
  for (const daemon of [a, b]) {
    const down = async () => {
      const tunnel = await daemon.tunnel();
      return tunnel.state !== "established" && tunnel.last_error !== "" && tunnel;
    };
    const { value } = await within(`link down: ${daemon.name} notices`, 20_000, down, () => daemon.explain());
    note(`${daemon.name}: ${value?.last_error}`);
  }
  const gone = () => leftIn(sites.a) === "" && leftIn(sites.b) === "";
  await within(
    "link down: neither end keeps tunnel, session or device",
    2_000,
    gone,
    () => leftIn(sites.a) + leftIn(sites.b),
  );
  sites.b.ip("link", "set", "wire", "up");
  const tookMs = await bothUp("link up: both come back by themselves", a, b, { milliseconds: SOON_MS });
  note(`up again after ${tookMs} ms`);
  check("link up: frames flow again", await sites.a.ping("192.168.7.2"));
  check("link up: it is a new connection", (await a.tunnel()).local_ccid !== before.local_ccid);
  equal("link up: with the same interface name", [sites.a.devices(), sites.b.devices()], [["l2-lan"], ["l2-lan"]]);
}

/** Who waits for the peer has to find out by itself that the peer started anew. */
async function checkRestartOfResponder(sites, a, b) {
  await b.stop("SIGKILL");
  await within(
    "responder killed: nothing is left there",
    1_000,
    () => leftIn(sites.b) === "",
    () => leftIn(sites.b),
  );
  const again = sites.start(sites.b, settings(2));
  await within(
    "responder killed: it gets ready again",
    SOON_MS,
    () => again.logged("ready"),
    () => again.explain(),
  );
  const agreed = async () => {
    const [atA, atB] = [await a.isUp(), await again.isUp()];
    return atA && atB && atA.remote_ccid === atB.local_ccid;
  };
  await within("responder killed: the keepalive finds out and both are up again", SOON_MS, agreed, () => a.explain());
  check("responder killed: frames flow again", await sites.b.ping("192.168.7.1"));
}

await scenario("keepalive", async (sites) => {
  // A new device's own neighbour discovery is traffic too, for some 10 s.
  for (const site of [sites.a, sites.b]) site.run("sysctl", "-w", "net.ipv6.conf.default.disable_ipv6=1");
  const { a, b } = await startBoth(sites, "the session comes up", { a: settings(1), b: settings(2) });
  await checkTrafficIsEnough(sites, a, b);
  await checkCut(sites, a, b);
  await checkRestartOfResponder(sites, a, b);
});
