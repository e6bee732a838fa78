import { describe, expect, test } from "vitest";
import { endpointText } from "../../../src/control/endpoint.ts";
import { MessageTap, type TracedMessage } from "../../../src/daemon/message-tap.ts";
import { agreed, authentication, OTHER_SECRET, SECRET, sites } from "../../support/authenticated-sites.ts";
import { A } from "../../support/sites.ts";
import { LATENCY_MS } from "../../support/virtual-link.ts";

const hex = (octets: Uint8Array) => Buffer.from(octets).toString("hex");

/** Site A's tunnel is traced from the start to the end of a connection with hidden AVPs. */
function traced(secrets: boolean, tunnel = "to-b", previous: readonly Uint8Array[] = []) {
  const rolling = authentication({ hidden: true, secrets: [SECRET, ...previous] });
  const both = sites(rolling, authentication({ hidden: true }));
  const { link, a } = both;
  const tap = new MessageTap(a.core);
  const told: TracedMessage[] = [];
  const stop = tap.trace({ tunnel, secrets, tell: (message) => told.push(message) });
  link.fate = ({ from, to, octets }) => {
    const [local, peer] = from.address === A ? [from, to] : [to, from];
    tap.passed({ direction: local === from ? "sent" : "received", octets, peer, local });
    return [LATENCY_MS];
  };
  link.start();
  link.run(5_000);
  expect(agreed(both)).toBe(true);
  const cookies = [...a.datapathSessions.values()].flatMap(({ localCookie, remoteCookie }) => [
    localCookie,
    remoteCookie,
  ]);
  const { connections } = a.core.save();
  const nonces = connections.flatMap(({ authentication: state }) => [state.localNonce, state.remoteNonce]);
  a.receive({ type: "close", tunnel: "to-b" });
  link.run(5_000);
  return { told, stop, tap, text: JSON.stringify(told), cookies, nonces };
}

const valuesOf = (told: readonly TracedMessage[], name: string) =>
  told.flatMap(({ avps }) => avps.filter((avp) => avp.name === name)).map(({ value }) => value);

describe("the control messages of a tunnel", () => {
  test("every one, both ways, in order, with names and values", () => {
    const { told } = traced(false);
    const said = told.filter(({ message }) => message !== "ACK" && message !== "ZLB");
    expect(said.slice(0, 3).map(({ direction, message, ns, nr }) => [direction, message, ns, nr])).toEqual([
      ["sent", "SCCRQ", 0, 0],
      ["received", "SCCRP", 0, 1],
      ["sent", "SCCCN", 1, 1],
    ]);
    expect(new Set(said.map(({ message }) => message))).toEqual(
      new Set(["SCCRQ", "SCCRP", "SCCCN", "ICRQ", "ICRP", "ICCN", "StopCCN"]),
    );
    expect(said[0]).toMatchObject({ ccid: 0, encapsulation: "udp", local: { port: 1701 } });
    expect(endpointText(said[0]?.peer ?? { address: "", port: 1 })).toBe("192.0.2.2:1701");
    expect(said[0]?.avps.find(({ name }) => name === "Message Type")).toEqual({
      vendor: 0,
      type: 0,
      name: "Message Type",
      mandatory: true,
      hidden: false,
      value: "1 (SCCRQ)",
    });
    expect(valuesOf(told, "Host Name")).toEqual(['"site-a"', '"site-b"']);
    expect(valuesOf(told, "Router ID")[0]).toBe("97 (0.0.0.97)");
  });

  test("without secrets: neither what is hidden nor cookies, nonces and digests are anywhere", () => {
    const { told, text, cookies, nonces } = traced(false);
    expect([cookies.length, nonces.length]).toEqual([4, 2]);
    for (const octets of [...cookies, ...nonces, SECRET]) expect(text).not.toContain(hex(octets));
    for (const name of ["Remote End ID", "Assigned Cookie", "Message Digest"]) {
      const values = valuesOf(told, name);
      expect(values.length).toBeGreaterThan(1);
      expect(values.filter((value) => value !== null)).toEqual([]);
    }
    expect(text).not.toContain(Buffer.from(SECRET).toString());
    // Where it stood are zeros, and the message is as long as it was.
    for (const { octets } of told) expect(Number.parseInt(octets.slice(4, 8), 16)).toBe(octets.length / 2);
  });

  test("with secrets: all of it, but for the secret itself", () => {
    const { told, text, cookies, nonces } = traced(true);
    for (const octets of [...cookies, ...nonces]) expect(text).toContain(hex(octets));
    expect(valuesOf(told, "Remote End ID")).toEqual(expect.arrayContaining(['"x"', '"y"']));
    expect(told.flatMap(({ avps }) => avps).filter(({ value }) => value === null)).toEqual([]);
    for (const secret of [hex(SECRET), Buffer.from(SECRET).toString()]) expect(text).not.toContain(secret);
  });

  test("what is hidden with either of two secrets is read", () => {
    const { told } = traced(true, "to-b", [OTHER_SECRET]);
    expect(valuesOf(told, "Remote End ID").filter((value) => value === null)).toEqual([]);
  });

  test("of another tunnel: nothing; and nothing when nobody traces", () => {
    expect(traced(true, "to-c").told).toEqual([]);
    const { stop, tap } = traced(true);
    expect(tap.wanted).toBe(true);
    stop();
    expect(tap.wanted).toBe(false);
  });

  test("noise for the tunnel is told as such, without its octets", () => {
    const { tap, told, stop } = traced(false);
    const before = told.length;
    const id = 0;
    tap.passed({
      direction: "received",
      octets: Uint8Array.from([0xc8, 3, 0, 200, 0, 0, 0, id, 0, 0, 0, 0, ...new Uint8Array(20).fill(0xab)]),
      peer: { address: "192.0.2.2", port: 1701 },
      local: undefined,
    });
    expect(told.slice(before)).toMatchObject([
      { message: expect.stringContaining("Length 200"), ccid: null, avps: [] },
    ]);
    expect(told.at(-1)?.octets).not.toContain("abab");
    stop();
  });
});
