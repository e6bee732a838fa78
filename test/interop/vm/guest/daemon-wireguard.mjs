// The recipe of docs/ipsec.md for WireGuard with the files of conf/examples, on the real kernel. The guest needs a package:
// npm run vm -- --packages wireguard-tools test/interop/vm/guest/daemons.mjs wireguard
import { check, equal, matches, note, SOON_MS, within } from "./daemon-lab.mjs";
import { allUp, dfPings, setup } from "./howto-lab.mjs";
import {
  Capture,
  checkFrames,
  checkWire,
  INNER_B,
  longer,
  makeKey,
  show,
  startWireguard,
  twoSites,
} from "./ipsec-lab.mjs";

async function wireguardNet(net, name) {
  const sites = twoSites(net);
  const [keyOfA, keyOfB] = [makeKey(sites.a), makeKey(sites.b)];
  const capture = await new Capture(sites.internet, "to-a").ready();
  await startWireguard(`${name}, site a`, sites.a, "wireguard/wg0-a", keyOfB);
  await startWireguard(`${name}, site b`, sites.b, "wireguard/wg0-b", keyOfA);
  return { sites, capture };
}

await setup("WireGuard", async (net) => {
  const name = "WireGuard";
  const { sites, capture } = await wireguardNet(net, name);
  const daemons = [net.start(sites.a, "wireguard/site-a"), net.start(sites.b, "wireguard/site-b")];
  await allUp(`${name}: the pseudowire comes up`, daemons);
  await checkFrames(name, sites, 1362);
  show("wg show", sites.a.run("wg", "show").replace(/key: .*/g, "key: …"));
  show("show", (await sites.a.attempt("l2tpv3-lcc", "show", "--socket", "/run/daemons/site-a.sock")).stdout);
  await checkWire(name, capture, "WireGuard");

  const clear = await new Capture(sites.internet, "to-a").ready();
  sites.a.run("wg-quick", "down", "wg0");
  check(`${name}: nothing passes without wg0`, !(await sites.a.ping(INNER_B, { count: 2 })));
  const kinds = Object.keys(await clear.kinds());
  equal(
    `${name}: and no L2TP leaves by another way`,
    kinds.filter((kind) => kind.startsWith("L2TP")),
    [],
  );
  sites.a.run("wg-quick", "up", "wg0");
  await allUp(`${name}: all is back with wg0`, daemons);
  await within(
    `${name}: frames pass again`,
    SOON_MS,
    () => sites.a.ping(INNER_B, { count: 1 }),
    () => daemons[0].explain(),
  );
  for (const line of daemons[0].lines(({ level }) => level !== "debug")) note(line);
});

await setup("WireGuard with 1500", async (net) => {
  const name = "WireGuard with 1500";
  const { sites, capture } = await wireguardNet(net, name);
  const daemons = [net.start(sites.a, "wireguard/site-a", longer), net.start(sites.b, "wireguard/site-b", longer)];
  await allUp(`${name}: the pseudowire comes up`, daemons);
  equal(`${name}: 1500 octets with DF pass`, await dfPings(sites.a, [INNER_B, 1500]), ["reply"]);
  check(`${name}: in fragments`, sites.a.snmp("Ip", "FragCreates") > 0);
  matches(`${name}: which the log says beforehand`, daemons[0].warnings().join("\n"), /1500.*1362/);
  await checkWire(name, capture, "WireGuard");
});
