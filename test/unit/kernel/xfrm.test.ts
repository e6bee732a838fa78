import { describe, expect, test } from "vitest";
import {
  decodePolicy,
  listPolicies,
  type PacketFlow,
  type Policy,
  protectionFlaw,
  verdictFor,
} from "../../../src/kernel/xfrm.ts";
import { guardId, guardMessage } from "../../../src/kernel/xfrm-guard.ts";

const ESP = 50;
const AH = 51;
const IPCOMP = 108;
const UDP = 17;
const L2TP = 115;

interface Template {
  readonly protocol: number;
  readonly optional?: boolean;
  /** 0: transport, 1: tunnel. */
  readonly mode?: number;
}

interface Written {
  readonly family: 2 | 10;
  readonly source: readonly [address: readonly number[], prefix: number, port: number];
  readonly destination: readonly [address: readonly number[], prefix: number, port: number];
  readonly protocol: number;
  readonly device: number;
  readonly priority: number;
  /** 0: in, 1: out, 2: forwarded. */
  readonly direction: number;
  /** 0: allow, 1: block. */
  readonly action: number;
  readonly templates: readonly Template[];
  readonly attributes: readonly (readonly [type: number, value: readonly number[]])[];
}

const HERE = [192, 0, 2, 1];
const THERE = [192, 0, 2, 9];

const OUT: Written = {
  family: 2,
  source: [HERE, 32, 1701],
  destination: [THERE, 32, 1701],
  protocol: UDP,
  device: 0,
  priority: 1000,
  direction: 1,
  action: 0,
  templates: [{ protocol: ESP }],
  attributes: [],
};
const IN: Written = { ...OUT, direction: 0, source: OUT.destination, destination: OUT.source };

/** As the kernel writes it: struct xfrm_userpolicy_info, then attributes. */
function message(written: Written): Buffer {
  const info = Buffer.alloc(168);
  for (const [[address, prefix, port], at, prefixAt, portAt] of [
    [written.destination, 0, 42, 32],
    [written.source, 16, 43, 36],
  ] as const) {
    info.set(address, at);
    info.writeUInt8(prefix, prefixAt);
    info.writeUInt16BE(port, portAt);
    info.writeUInt16BE(port === 0 ? 0 : 0xffff, portAt + 2);
  }
  info.writeUInt16LE(written.family, 40);
  info.writeUInt8(written.protocol, 44);
  info.writeInt32LE(written.device, 48);
  info.writeUInt32LE(written.priority, 152);
  info.writeUInt8(written.direction, 160);
  info.writeUInt8(written.action, 161);
  const templates = Buffer.concat(written.templates.map(template));
  const attributes = [...(templates.length === 0 ? [] : [[5, [...templates]] as const]), ...written.attributes];
  return Buffer.concat([info, ...attributes.map(([type, value]) => attribute(type, value))]);
}

function template({ protocol, optional = false, mode = 0 }: Template): Buffer {
  const octets = Buffer.alloc(64);
  octets.writeUInt8(protocol, 20);
  octets.writeUInt8(mode, 48);
  octets.writeUInt8(optional ? 1 : 0, 50);
  return octets;
}

function attribute(type: number, value: readonly number[]): Buffer {
  const octets = Buffer.alloc((4 + value.length + 3) & ~3);
  octets.writeUInt16LE(4 + value.length, 0);
  octets.writeUInt16LE(type, 2);
  octets.set(value, 4);
  return octets;
}

/** In the kernel's order: the newest first. */
function policies(...written: Written[]): Policy[] {
  return written.flatMap((each) => decodePolicy(message(each)) ?? []);
}

const FLOW: PacketFlow = {
  protocol: UDP,
  local: { address: "192.0.2.1", port: 1701 },
  remote: { address: "192.0.2.9", port: 1701 },
};
const OVER_IP: PacketFlow = {
  protocol: L2TP,
  local: { address: "192.0.2.1", port: 0 },
  remote: { address: "192.0.2.9", port: 0 },
};

describe("which policy is for a tunnel", () => {
  const out = (change: Partial<Written>, flow = FLOW) => verdictFor(policies({ ...OUT, ...change }), flow, "out");
  const into = (change: Partial<Written>, flow = FLOW) => verdictFor(policies({ ...IN, ...change }), flow, "in");

  test("addresses and prefixes", () => {
    expect(out({})).toBe("transform");
    expect(out({ source: [[192, 0, 2, 2], 32, 1701] })).toBe("none");
    expect(out({ destination: [[192, 0, 2, 8], 32, 1701] })).toBe("none");
    expect(out({ destination: [[192, 0, 2, 8], 31, 1701] })).toBe("transform");
    expect(out({ source: [[192, 0, 0, 0], 22, 0], destination: [[0, 0, 0, 0], 0, 0] })).toBe("transform");
    const anywhere: PacketFlow = { ...FLOW, local: { address: undefined, port: 1701 } };
    expect(out({ source: [[192, 0, 2, 2], 32, 1701] }, anywhere)).toBe("transform");
  });

  test("ports, of both ends", () => {
    expect(out({ source: [HERE, 32, 0], destination: [THERE, 32, 0] })).toBe("transform");
    expect(out({ source: [HERE, 32, 1702] })).toBe("none");
    expect(out({ destination: [THERE, 32, 500] })).toBe("none");
    // Any free port: only a policy for all of them is certain.
    const anyPort: PacketFlow = { ...FLOW, local: { address: "192.0.2.1", port: 0 } };
    expect(out({}, anyPort)).toBe("none");
    expect(out({ source: [HERE, 32, 0] }, anyPort)).toBe("transform");
  });

  test("protocols", () => {
    expect(out({ protocol: 0 })).toBe("transform");
    expect(out({ protocol: L2TP })).toBe("none");
    const bare: Partial<Written> = { source: [HERE, 32, 0], destination: [THERE, 32, 0] };
    expect(out({ ...bare, protocol: L2TP }, OVER_IP)).toBe("transform");
    expect(out({ ...bare, protocol: UDP }, OVER_IP)).toBe("none");
    expect(out({ ...bare, protocol: 0 }, OVER_IP)).toBe("transform");
    expect(out({ protocol: L2TP }, OVER_IP)).toBe("none");
  });

  test("directions", () => {
    expect(into({})).toBe("transform");
    expect(out({ direction: 0 })).toBe("none");
    expect(out({ direction: 2 })).toBe("none");
    expect(into({ source: IN.destination, destination: IN.source })).toBe("none");
  });

  test("IPv6", () => {
    const [here, there] = [
      [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
      [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
    ];
    const six: PacketFlow = {
      ...FLOW,
      local: { address: "2001:db8::1", port: 1701 },
      remote: { address: "2001:db8::2", port: 1701 },
    };
    const written: Partial<Written> = { family: 10, source: [here, 128, 0], destination: [there, 128, 1701] };
    expect(out(written, six)).toBe("transform");
    expect(out({ ...written, source: [there, 127, 0] }, six)).toBe("none");
    expect(out({ ...written, source: [here, 64, 0] }, six)).toBe("transform");
    expect(out(written)).toBe("none");
    expect(out({}, six)).toBe("none");
    const link = (address: string): PacketFlow["local"] => ({ address: `${address}%eth0`, port: 1701 });
    const local = { ...six, local: link("fe80::1"), remote: { ...link("fe80::2"), address: "fe80::2%eth0" } };
    expect(out({ family: 10, source: [[0xfe, 0x80], 10, 0], destination: [[0xfe, 0x80], 10, 0] }, local)).toBe(
      "transform",
    );
  });

  test("what it does with packets", () => {
    expect(out({ templates: [] })).toBe("pass");
    expect(out({ action: 1, templates: [] })).toBe("block");
    expect(out({ templates: [{ protocol: AH }] })).toBe("transform");
    expect(out({ templates: [{ protocol: ESP, mode: 1 }] })).toBe("transform");
    expect(out({ templates: [{ protocol: IPCOMP }] })).toBe("pass");
    expect(out({ templates: [{ protocol: IPCOMP, optional: true }, { protocol: ESP }] })).toBe("transform");
    // level use: in clear where there is no key.
    expect(out({ templates: [{ protocol: ESP, optional: true }] })).toBe("pass");
  });

  test("not for packets that have no mark, interface id or device of their own", () => {
    expect(out({ attributes: [[21, [7, 0, 0, 0, 0xff, 0, 0, 0]]] })).toBe("none");
    expect(out({ attributes: [[21, [0, 0, 0, 0, 0xff, 0, 0, 0]]] })).toBe("transform");
    expect(out({ attributes: [[31, [42, 0, 0, 0]]] })).toBe("none");
    expect(out({ attributes: [[16, [1, 0, 0, 0, 0, 0]]] })).toBe("none");
    expect(out({ device: 3 })).toBe("none");
    expect(out({ device: 3, templates: [] })).toBe("pass");
  });

  test("the lowest number wins, and among equals the oldest", () => {
    const passing: Written = { ...OUT, templates: [], protocol: 0 };
    const verdict = (...written: Written[]) => verdictFor(policies(...written), FLOW, "out");
    expect(verdict({ ...passing, priority: 1 }, OUT)).toBe("pass");
    expect(verdict(OUT, { ...passing, priority: 2000 })).toBe("transform");
    expect(verdict(passing, OUT)).toBe("transform");
    expect(verdict(OUT, passing)).toBe("pass");
  });
});

describe("what is missing", () => {
  const flaw = (...written: Written[]) => protectionFlaw(policies(...written), FLOW);

  test("in words", () => {
    const between = "UDP between 192.0.2.1 port 1701 and 192.0.2.9 port 1701";
    expect(flaw(OUT, IN)).toBeUndefined();
    expect(flaw()).toBe(`no IPsec policy protects ${between}`);
    const sent = "UDP sent from 192.0.2.1 port 1701 to 192.0.2.9 port 1701";
    expect(flaw(IN)).toBe(`no IPsec policy protects ${sent}`);
    expect(flaw(OUT)).toBe("no IPsec policy protects UDP received from 192.0.2.9 port 1701 at 192.0.2.1 port 1701");
    expect(flaw({ ...OUT, templates: [] }, IN)).toBe(`an IPsec policy lets pass in clear ${sent}`);
    expect(flaw({ ...OUT, action: 1, templates: [] }, { ...IN, action: 1, templates: [] })).toBe(
      `an IPsec policy discards ${between}`,
    );
    expect(protectionFlaw([], OVER_IP)).toBe(
      "no IPsec policy protects IP protocol 115 between 192.0.2.1 and 192.0.2.9",
    );
  });
});

describe("guards", () => {
  const [out, into] = [guardMessage(FLOW, "out"), guardMessage(FLOW, "in")];

  test("are for exactly one flow, and no policy that anything can lose to", () => {
    const decoded = decodePolicy(out);
    expect(decoded).toMatchObject({
      direction: "out",
      protocol: UDP,
      verdict: "block",
      priority: 0xffffff00,
      source: { prefixLength: 32, port: 1701, portMask: 0xffff },
      destination: { prefixLength: 32, port: 1701, portMask: 0xffff },
    });
    expect([...(decoded?.source.address ?? [])]).toEqual(HERE);
    expect([...(decoded?.destination.address ?? [])]).toEqual(THERE);
    expect(decodePolicy(into)).toMatchObject({ direction: "in" });
    expect([...(decodePolicy(into)?.source.address ?? [])]).toEqual(THERE);
  });

  test("are known by a field that the kernel matches nothing with, and tell whose they are", () => {
    const { guard } = decodePolicy(out) ?? {};
    expect(guard).toMatchObject({ process: process.pid, namespace: expect.any(Number) });
    expect(guard?.id.equals(guardId(FLOW, "out"))).toBe(true);
    expect(decodePolicy(into)?.guard?.id.equals(guardId(FLOW, "in"))).toBe(true);
    expect(policies({ ...OUT, action: 1, templates: [], priority: 0xffffff00 })[0]?.guard).toBeUndefined();
  });

  test("a listener's is for any local address", () => {
    const listener = { ...FLOW, local: { address: "0.0.0.0", port: 1701 } };
    expect(decodePolicy(guardMessage(listener, "out"))?.source).toMatchObject({ prefixLength: 0, port: 1701 });
    const overIp = decodePolicy(guardMessage(OVER_IP, "out"));
    expect(overIp).toMatchObject({ protocol: L2TP, source: { portMask: 0 }, destination: { portMask: 0 } });
  });

  test("count as no protection and as no obstacle", () => {
    const guards = [out, into].flatMap((each) => decodePolicy(each) ?? []);
    expect(protectionFlaw(guards, FLOW)).toContain("no IPsec policy protects");
    expect(protectionFlaw([...guards, ...policies(OUT, IN)], FLOW)).toBeUndefined();
  });
});

test("this machine's own policies can be listed, or it is said why not", () => {
  try {
    expect(Array.isArray(listPolicies())).toBe(true);
  } catch (error) {
    expect(error).toMatchObject({ name: "KernelError", errno: expect.stringMatching(/^(EPERM|EPROTONOSUPPORT)$/) });
  }
});
