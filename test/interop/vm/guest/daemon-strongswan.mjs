// The recipes of docs/ipsec.md for strongSwan with the files of conf/examples, on the real kernel: L2TP over UDP and over IP
// in ESP. The guest needs packages: npm run vm -- --packages
// charon-systemd,strongswan-swanctl,libstrongswan-standard-plugins,netbase,openssl test/interop/vm/guest/daemons.mjs strongswan
import { check, equal, matches, note, SOON_MS, sleep, within } from "./daemon-lab.mjs";
import { allUp, dfPings, setup } from "./howto-lab.mjs";
import {
  Capture,
  checkFrames,
  checkWire,
  INNER_A,
  INNER_B,
  longer,
  makeAuthority,
  StrongSwan,
  show,
  twoSites,
} from "./ipsec-lab.mjs";

/** Echoes while keys are exchanged: for 10 s. */
const LONG_PING = { count: 100, interval: 0.1 };

/** The shared secrets differ: nothing comes up, nothing leaves in clear, and the logs say so. */
async function checkWrongSecret(name, swans, daemons) {
  const refused = () => /AUTHENTICATION_FAILED/.test(swans.a.log());
  await within(`${name}: two different secrets are found out`, SOON_MS, refused, () => swans.a.explain());
  await sleep(2_000);
  for (const swan of Object.values(swans))
    show(`log of ${swan.site.name}`, swan.log().split("\n").slice(-12).join("\n"));
  show(
    "show at site a",
    (await swans.a.site.attempt("l2tpv3-lcc", "show", "--socket", "/run/daemons/site-a.sock")).stdout,
  );
  for (const line of daemons[0].lines(({ level }) => level !== "debug")) note(line);
  equal(`${name}: no tunnel then`, (await daemons[0].show()).tunnels[0].state === "established", false);
  swans.b.configure();
  const loaded = await swans.b.swanctl("--load-all", "--noprompt");
  check(`${name}: the right secret is loaded`, loaded.code === 0, loaded.stderr);
  const initiated = await swans.a.swanctl("--initiate", "--child", "l2tp");
  check(`${name}: swanctl --initiate then brings the SA up`, initiated.code === 0, initiated.stdout + initiated.stderr);
}

/** What docs/ipsec.md says is to be looked at. */
async function showState(name, { a }, swan) {
  const doctor = await a.attempt("l2tpv3-lcc", "doctor", "--conf", "/run/daemons/site-a.toml");
  matches(`${name}: the doctor sees the policy`, doctor.stdout, /a policy protects what is sent to the peer/);
  show("doctor", doctor.stdout);
  show("swanctl --list-sas", (await swan.swanctl("--list-sas")).stdout);
  show("ip xfrm policy", a.ip("xfrm", "policy"));
  show("ip -s xfrm state list nokeys", a.ip("-s", "xfrm", "state", "list", "nokeys"));
  show("show", (await a.attempt("l2tpv3-lcc", "show", "--socket", "/run/daemons/site-a.sock")).stdout);
}

async function checkRekeying(name, { a }, swan) {
  const before = swan.spis();
  const echoes = a.ping(INNER_B, LONG_PING);
  const child = await swan.swanctl("--rekey", "--child", "l2tp");
  const ike = await swan.swanctl("--rekey", "--ike", "site-b");
  check(`${name}: swanctl --rekey`, child.code === 0 && ike.code === 0, child.stdout + ike.stdout);
  const isNew = () => swan.spis().some((spi) => !before.includes(spi));
  await within(`${name}: there are new keys`, SOON_MS, isNew, () => swan.explain());
  check(`${name}: no frame is lost meanwhile`, await echoes);
}

/** Until an echo comes back. */
function recovers(name, site, address, swan) {
  const explain = () => swan.explain();
  return within(name, SOON_MS, () => site.ping(address, { count: 1 }), explain);
}

/** strongSwan dies, comes back, and is stopped and started in peace; the daemons stay as they are. */
async function checkRestarts(name, { a, b }, swans) {
  await swans.b.stop("SIGKILL");
  check(`${name}: frames pass while a charon is dead`, await a.ping(INNER_B, { count: 10 }));
  await swans.b.start(`${name}, after a crash`);
  check(`${name}: and when there is another one`, (await a.ping(INNER_B)) && (await b.ping(INNER_A)));
  // As after a restart of the machine: neither the kernel nor charon has the keys that the other end still uses.
  b.ip("xfrm", "state", "flush");
  const { tookMs } = await recovers(`${name}: frames pass again after one end has lost its keys`, b, INNER_A, swans.b);
  note(`${name}: that took ${tookMs} ms`);
  check(`${name}: either way`, await a.ping(INNER_B));
}

/** Without strongSwan there are no policies: the daemon waits for them (require_ipsec), and the kernel sends nothing in clear. */
async function checkStop(name, { a, internet, b }, swans, daemons) {
  const capture = await new Capture(internet, "to-a").ready();
  await swans.b.stop();
  const waits = async () => /^require_ipsec: no IPsec policy/.test((await daemons[1].tunnel())?.last_error ?? "");
  await within(`${name}: a strongSwan is stopped: the daemon waits`, SOON_MS, waits, () => daemons[1].explain());
  check(`${name}: nothing passes meanwhile`, !(await b.ping(INNER_A, { count: 2 })));
  check(`${name}: nor the other way`, !(await a.ping(INNER_B, { count: 2 })));
  show("log of site-a, whose peer's strongSwan is stopped", swans.a.log().split("\n").slice(-10).join("\n"));
  // Keys that the other end still has may be used for a moment, and it asks for new ones.
  const kinds = await capture.kinds();
  note(`${name}, strongSwan stopped: on the wire ${JSON.stringify(kinds)}`);
  const clear = Object.keys(kinds).filter((kind) => !["ESP", "IKE", "ICMP unreachable"].includes(kind));
  equal(`${name}: nothing is in clear while strongSwan is stopped`, clear, []);
  check(`${name}: the other end asks for keys`, kinds.IKE > 0, JSON.stringify(kinds));
  await swans.b.start(`${name}, started again`);
  await allUp(`${name}: and comes up when it runs again`, daemons);
  const { tookMs } = await recovers(`${name}: frames pass again`, a, INNER_B, swans.a);
  note(`${name}: that took ${tookMs} ms`);
}

async function ipsecRecipe(net, name, { folder, mtu, wrongSecret = false }) {
  const sites = twoSites(net);
  const swans = {
    a: new StrongSwan(net, sites.a, `${folder}/swanctl-a`),
    b: new StrongSwan(net, sites.b, `${folder}/swanctl-b`),
  };
  if (wrongSecret) swans.b.configure((text) => text.replace("put a long", "not the same"));
  const capture = await new Capture(sites.internet, "to-a").ready();
  show("swanctl --load-all", await swans.a.start(`${name}, site a`));
  await swans.b.start(`${name}, site b`);
  const daemons = [net.start(sites.a, `${folder}/site-a`), net.start(sites.b, `${folder}/site-b`)];
  if (wrongSecret) await checkWrongSecret(name, swans, daemons);
  await allUp(`${name}: the pseudowire comes up`, daemons);
  await checkFrames(name, sites, mtu);
  await showState(name, sites, swans.a);
  await checkRekeying(name, sites, swans.a);
  await checkRestarts(name, sites, swans);
  await checkWire(name, capture, "ESP", "IKE");
  equal(
    `${name}: the daemons have noticed nothing of all that`,
    daemons.map((daemon) => daemon.log.filter(({ event }) => event === "session-established").length),
    [1, 1],
  );
  await checkStop(name, sites, swans, daemons);
  for (const daemon of daemons) equal(`${name}: ${daemon.name} stops as it should`, (await daemon.stop()).end, 0);
}

await setup("L2TP over UDP in ESP", (net) =>
  ipsecRecipe(net, "UDP in ESP", { folder: "ipsec-udp", mtu: 1408, wrongSecret: true }),
);

await setup("L2TP over IP in ESP", (net) => ipsecRecipe(net, "IP in ESP", { folder: "ipsec-ip", mtu: 1420 }));

await setup("certificates, and 1500 octets", async (net) => {
  const name = "certificates";
  const { a, internet, b } = twoSites(net);
  const swans = [new StrongSwan(net, a, "ipsec-udp/swanctl-a"), new StrongSwan(net, b, "ipsec-udp/swanctl-b")];
  const authority = makeAuthority("/run/authority");
  for (const swan of swans) swan.certify(authority);
  const capture = await new Capture(internet, "to-a").ready();
  for (const swan of swans) show("swanctl --load-all", await swan.start(`${name}, ${swan.site.name}`));
  const daemons = [net.start(a, "ipsec-udp/site-a", longer), net.start(b, "ipsec-udp/site-b", longer)];
  await allUp(`${name}: the pseudowire comes up`, daemons);
  check(`${name}: ping through the pseudowire`, await a.ping(INNER_B));
  equal(`${name}: mtu = 1500, with DF`, await dfPings(a, [INNER_B, 1500]), ["reply"]);
  for (const line of daemons[0].warnings()) note(line);
  matches(`${name}: it was they`, swans[0].log(), /authentication of 'site-b.example.net' with ECDSA.* successful/);
  await checkWire(name, capture, "ESP", "IKE", "fragment of protocol 50");
});
