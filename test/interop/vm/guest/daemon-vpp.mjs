// conf/examples/vpp.toml itself, against a kernel that is configured as VPP would be by the command in its comments. VPP's
// "local" ids and cookies are those that it receives, its "remote" ones those that it sends.
import { readFileSync } from "node:fs";
import { check, equal, leftIn, SOON_MS, scenario, within } from "./daemon-lab.mjs";
import { addAddresses, beSilent, Capture, checkFrames, expectedOf, Probe } from "./matrix-lab.mjs";

const DEVICE = "l2-vpp42";
const text = readFileSync("/app/conf/examples/vpp.toml", "utf8");

/** The numbers in VPP's command line. */
function readCommand() {
  const line = text.split("\n").find((each) => each.includes("create l2tpv3 tunnel"));
  const words = line.slice(line.indexOf("tunnel ") + "tunnel ".length).split(" ");
  const isSublayerPresent = words.includes("l2-sublayer-present");
  const found = Object.fromEntries(words.map((word, i) => [word, words[i + 1]]));
  return { ...found, sublayer: isSublayerPresent ? "default" : "none" };
}

/** What VPP makes of it, said to Linux. */
function actAsVpp(site, vpp) {
  const words = [
    `l2tp add tunnel tunnel_id 9 peer_tunnel_id 9 encap ip local ${vpp.our} remote ${vpp.client}`,
    `l2tp add session name ${DEVICE} tunnel_id 9 session_id ${vpp["local-session-id"]}` +
      ` peer_session_id ${vpp["remote-session-id"]} cookie ${vpp["remote-cookie"]} peer_cookie ${vpp["local-cookie"]}` +
      ` l2spec_type ${vpp.sublayer}`,
    `link set ${DEVICE} up`,
  ];
  for (const each of words) site.ip(...each.split(" "));
}

await scenario(
  "VPP",
  async (sites) => {
    const vpp = readCommand();
    addAddresses(sites, [vpp.client, vpp.our]);
    beSilent(sites);
    const capture = await Capture.start(sites);
    actAsVpp(sites.b, vpp);
    const daemon = sites.startWith(sites.a, text);
    const probes = [sites.a, sites.b].map((site) => new Probe(site));
    const explain = () => daemon.explain();
    await within("I27 VPP: conf/examples/vpp.toml comes up", SOON_MS, () => daemon.isUp(), explain);
    equal("VPP: without a warning", daemon.warnings(), []);
    await checkFrames([{ device: DEVICE, title: "VPP" }], ...probes);
    const common = { title: "VPP", carrier: { kind: "ip", ends: [vpp.client, vpp.our] }, sequencing: "none" };
    const directions = [
      { from: "a", sessionId: Number(vpp["local-session-id"]), cookie: vpp["local-cookie"] },
      { from: "b", sessionId: Number(vpp["remote-session-id"]), cookie: vpp["remote-cookie"] },
    ];
    await capture.finish(
      "vpp",
      directions.map((each) => expectedOf({ ...common, ...each, sublayer: vpp.sublayer })),
    );
    for (const probe of probes) await probe.end();
    sites.b.ip("address", "add", "10.0.0.2/30", "dev", DEVICE);
    check("VPP: ping from the daemon's side", await sites.a.ping("10.0.0.2"));
    check("VPP: ping from VPP's side", await sites.b.ping("10.0.0.1"));
    equal("VPP: SIGTERM ends it with 0", (await daemon.stop()).end, 0);
    equal("VPP: nothing is left", leftIn(sites.a), "");
  },
  ["198.51.100.1", "198.51.100.2"],
);
