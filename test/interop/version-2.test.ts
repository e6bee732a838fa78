import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { until } from "../support/daemon-process.ts";
import { namespacesMissing } from "../support/namespaces.ts";
import { dissect, startCapture, tsharkMissing } from "../support/tshark.ts";
import { TwoSites } from "../support/two-sites.ts";
import { avp, octetsOfHex } from "../support/wire.ts";

const missing = namespacesMissing() ?? tsharkMissing();
const UP_MS = 10_000;

const FIELDS = [
  "ip.src",
  "l2tp.version",
  "l2tp.tunnel",
  "l2tp.session",
  "l2tp.ccid",
  "l2tp.avp.message_type",
  "l2tp.avp.type",
  "l2tp.avp.assigned_tunnel_id",
  "l2tp.result_code",
  "l2tp.avp.error_code",
  "_ws.malformed",
  "_ws.expert.message",
];

const VERSION_2 = [avp(0, "0001"), avp(2, "0100"), avp(3, "00000003"), avp(7, "7072697374"), avp(9, "1234")];
const VERSION_3 = [
  avp(60, "01020304", { mandatory: false }),
  avp(61, "0a0b0c01", { mandatory: false }),
  avp(62, "0005", { mandatory: false }),
];

/** Version 2, no ids, Ns and Nr 0. */
function sccrq(avps: readonly string[]): Uint8Array {
  const body = avps.join("");
  return octetsOfHex(`c802${(12 + body.length / 2).toString(16).padStart(4, "0")}0000000000000000${body}`);
}

/** Sends what it is given in hex from UDP port 1701 and prints the first answer. */
const CLIENT = `
  const socket = require("node:dgram").createSocket("udp4");
  const [host, hex] = process.argv.slice(1);
  socket.on("message", (octets) => { process.stdout.write(octets.toString("hex")); socket.close(); });
  socket.bind(1701, () => socket.send(Buffer.from(hex, "hex"), 1701, host));
`;

let sites: TwoSites;

describe.skipIf(missing !== undefined)(`version 2 on the wire${missing ? ` (${missing})` : ""}`, () => {
  beforeEach(() => {
    sites = new TwoSites();
  });
  afterEach(() => sites.remove());

  test("G07 G10 tshark reads the answers to an SCCRQ in version 2: StopCCN in version 2, SCCRP to a dual one", async () => {
    const { paris, lyon } = sites;
    const daemon = sites.start(lyon, sites.configuration(lyon, { lcce: 'datapath = "none"' }));
    await until("lyon listens", UP_MS, () => daemon.show());
    const capture = await startCapture(sites);
    const ask = async (octets: Uint8Array) => {
      const args = ["-e", CLIENT, lyon.address, Buffer.from(octets).toString("hex")];
      return (await paris.namespace.run(process.execPath, args)).stdout;
    };
    expect(await ask(sccrq(VERSION_2))).toMatch(/^c802002612340000/);
    expect(await ask(sccrq([...VERSION_2, ...VERSION_3]))).toMatch(/^c803....0a0b0c01/);
    const frames = await dissect(await capture.stop(), FIELDS);

    const answers = frames.filter((frame) => frame["ip.src"]?.[0] === lyon.address);
    expect(answers[0]).toMatchObject({
      "l2tp.version": ["2"],
      "l2tp.tunnel": [String(0x1234)],
      "l2tp.session": ["0"],
      "l2tp.avp.message_type": ["4"],
      "l2tp.avp.type": ["0", "9", "1"],
      "l2tp.result_code": ["5"],
      "l2tp.avp.error_code": ["3"],
    });
    expect(answers[1]).toMatchObject({ "l2tp.version": ["3"], "l2tp.avp.message_type": ["2"] });
    for (const frame of answers) {
      expect(frame).not.toHaveProperty(["_ws.malformed"]);
      expect(frame).not.toHaveProperty(["_ws.expert.message"]);
    }
  });
});
