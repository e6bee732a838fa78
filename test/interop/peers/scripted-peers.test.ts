import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writePcap } from "../../support/pcap.ts";
import { tsharkMissing } from "../../support/tshark.ts";
import { CASES, type Case } from "./cases.ts";
import { CISCO } from "./cisco.ts";
import { Exchange } from "./exchange.ts";
import { flaws, framesWithWrongDigests } from "./judgement.ts";
import { YAMAHA } from "./small-routers.ts";

const UP_MS = 60_000;

const titled = CASES.map((each, index) => [each.peer.make, each.feature, `${each.opens} opens`, index] as const);

let exchange: Exchange;

/** Before our first message: it has spoken first, or is configured. */
function knownFromTheStart({ tunnel, opens }: Pick<Case, "tunnel" | "opens">): boolean {
  return opens === "peer" || tunnel !== undefined;
}

describe("scripted peers over UDP", () => {
  beforeAll(async () => {
    exchange = await Exchange.start({ cases: CASES, over: "udp", upMs: UP_MS });
    await exchange.setUp();
    await exchange.end();
  });
  afterAll(() => exchange.close());

  test.each(titled)("B134 A31 D02 D06 C08 %s: %s, %s", (_make, _feature, _who, index) => {
    exchange.verify(index);
  });

  test("B135 Cisco with protocol l2tpv3 hears its own AVPs too, the others do not", () => {
    for (const [index, each] of CASES.entries()) {
      const { connection, call } = exchange.said(index);
      const isCisco = each.peer === CISCO;
      // Nothing that is hidden stands beside it in the clear.
      const wantsIds = isCisco && each.hidden !== true;
      expect(call.list.includes("v9/3"), `${index}`).toBe(wantsIds);
      expect(connection.list.includes("v9/10"), `${index}`).toBe(isCisco && knownFromTheStart(each));
    }
  });

  test("a Yamaha gets the bare SCCRQ and SCCRP where it is known, and nothing unknown with M where it is not", () => {
    for (const [index, { peer, tunnel, opens }] of CASES.entries()) {
      if (peer !== YAMAHA) continue;
      const known = knownFromTheStart({ opens, ...(tunnel === undefined ? {} : { tunnel }) });
      const expected = known ? ["0", "7", "60", "61", "62"] : ["0", "7", "60", "61", "62", "10"];
      expect(exchange.said(index).connection.list).toEqual(expected);
    }
  });

  const missing = tsharkMissing();
  describe.skipIf(missing !== undefined)(`tshark${missing ? ` (${missing})` : ""}`, () => {
    function captured(signed: boolean): string {
      const file = join(exchange.host.directory, `${signed}.pcap`);
      writePcap(file, exchange.transcripts(signed));
      return file;
    }
    const ports = () => exchange.peers.map(({ endpoint }) => endpoint.port);

    test.each([true, false])("finds nothing malformed, signed %s", async (signed) => {
      const messages = exchange.transcripts(signed).length;
      const wanted = { messages, ours: exchange.host.endpoint.address, signed };
      expect(await flaws(captured(signed), wanted, ports())).toEqual([]);
    });

    test("D10 finds every digest right, and with another secret every one wrong", async () => {
      const all = exchange.transcripts(true).length;
      expect(await framesWithWrongDigests(captured(true), "right", ports())).toBe(0);
      expect(await framesWithWrongDigests(captured(true), "wrong", ports())).toBe(all);
    });
  });
});
