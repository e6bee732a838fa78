import { beforeEach, describe, expect, test } from "vitest";
import type { Input } from "../../../src/control/core.ts";
import { type PolicyKernel, Protection } from "../../../src/daemon/protection.ts";
import { KernelError } from "../../../src/kernel/kernel-error.ts";
import { decodePolicy, type PacketFlow, type Policy } from "../../../src/kernel/xfrm.ts";
import { guardMessage } from "../../../src/kernel/xfrm-guard.ts";

const ANY = { address: "0.0.0.0", port: 1701 };
const HERE = { address: "192.0.2.1", port: 1701 };
const THERE = { address: "192.0.2.9", port: 1701 };
const OVER_IP = { address: "192.0.2.9", port: 0 };

/** The policies that another program has, and our guards; the route is always from 192.0.2.1. */
class FakeKernel implements PolicyKernel {
  foreign: Policy[] = [];
  readonly #guards = new Map<string, PacketFlow>();
  refusal: string | undefined;
  leftRemoved = 0;

  get guards(): readonly PacketFlow[] {
    return [...this.#guards.values()];
  }

  policies(): readonly Policy[] {
    if (this.refusal !== undefined) throw new KernelError("no", { errno: this.refusal, command: "dump" });
    // Some are as good as some thousand.
    const guards = this.guards.slice(0, 10).flatMap((flow) => {
      return [guardMessage(flow, "out"), guardMessage(flow, "in")].flatMap((message) => decodePolicy(message) ?? []);
    });
    return [...this.foreign, ...guards];
  }

  addGuard(flow: PacketFlow): void {
    this.#guards.set(JSON.stringify(flow), flow);
  }

  removeGuard(flow: PacketFlow): void {
    this.#guards.delete(JSON.stringify(flow));
  }

  /** ip xfrm policy flush. */
  flush(): void {
    this.foreign = [];
    this.#guards.clear();
  }

  removeLeftGuards(): void {
    this.leftRemoved += 1;
  }

  sourceAddressTo(): string {
    return "192.0.2.1";
  }

  /** Policies for everything between here and `there`, both ways. */
  protect(there = "192.0.2.9"): void {
    const [one, other] = ["192.0.2.1", there].map((address) => ({
      address: Uint8Array.from(address.split(".").map(Number)),
      prefixLength: 32,
      port: 0,
      portMask: 0,
    }));
    if (one === undefined || other === undefined) throw new Error("two sides");
    const common = { family: 2, protocol: 0, priority: 1, verdict: "transform", guard: undefined } as const;
    this.foreign.push({ ...common, direction: "out", source: one, destination: other });
    this.foreign.push({ ...common, direction: "in", source: other, destination: one });
  }
}

let kernel: FakeKernel;
let inputs: Input[];
let protection: Protection;

beforeEach(() => {
  kernel = new FakeKernel();
  inputs = [];
  protection = new Protection({ accept: (input) => inputs.push(input) }, kernel);
});

/** As the shell opens a socket. */
function open(id: number, local = ANY, remote = THERE): void {
  const bound = protection.demand("paris", local, remote);
  protection.guard(
    "paris",
    id,
    { ...bound, port: local.port === 0 && remote.port !== 0 ? 40_001 : local.port },
    remote,
  );
}

const MISSING =
  "require_ipsec: no IPsec policy protects UDP between 192.0.2.1 port 1701 and 192.0.2.9 port 1701; it is waited for";

describe("a socket", () => {
  test("is not opened without policies, and nothing is changed in the kernel; when they come that is told once", () => {
    expect(() => open(7)).toThrow(MISSING);
    protection.changed();
    expect([inputs, kernel.guards]).toEqual([[], []]);
    kernel.protect();
    protection.changed();
    protection.changed();
    expect(inputs).toEqual([{ type: "protection-found", tunnel: "paris" }]);
    open(7);
    expect(kernel.guards).toEqual([{ protocol: 17, local: HERE, remote: THERE }]);
  });

  test("is guarded with the port that it got, and over IP without ports", () => {
    kernel.protect();
    open(7, { address: "0.0.0.0", port: 0 });
    open(8, { address: "192.0.2.1", port: 1701 }, OVER_IP);
    expect(kernel.guards).toEqual([
      { protocol: 17, local: { address: "192.0.2.1", port: 40_001 }, remote: THERE },
      { protocol: 115, local: { address: "192.0.2.1", port: 0 }, remote: OVER_IP },
    ]);
  });

  test("loses its protection: who has it is told, and the guard stays, also when the socket is closed", () => {
    kernel.protect();
    open(7);
    kernel.foreign = [];
    protection.changed();
    expect(inputs).toEqual([
      {
        type: "protection-lost",
        localControlConnectionId: 7,
        reason:
          "require_ipsec: no IPsec policy protects UDP between 192.0.2.1 port 1701 and 192.0.2.9 port 1701 any more",
      },
    ]);
    protection.release(7);
    protection.changed();
    expect([inputs.length, kernel.guards.length]).toEqual([1, 1]);
    protection.close();
    expect(kernel.guards).toEqual([]);
  });

  test("is connected elsewhere only if that is protected too", () => {
    kernel.protect();
    open(7);
    protection.move(7, HERE, { address: "192.0.2.9", port: 5000 });
    expect(kernel.guards.map(({ remote }) => remote.port)).toEqual([1701, 5000]);
    expect(() => protection.move(7, HERE, { address: "192.0.2.8", port: 1701 })).toThrow("192.0.2.8 port 1701");
    // One of another tunnel, which demands nothing.
    protection.move(8, HERE, { address: "192.0.2.8", port: 1701 });
    kernel.foreign = [];
    protection.changed();
    expect(inputs).toMatchObject([{ type: "protection-lost", localControlConnectionId: 7 }]);
  });

  test("policies that cannot be read protect nothing", () => {
    kernel.refusal = "EPERM";
    expect(() => open(7)).toThrow("require_ipsec: the kernel's IPsec policies cannot be read: no; it is waited for");
    protection.begin();
    protection.changed();
    expect([inputs, kernel.leftRemoved]).toEqual([[], 0]);
  });
});

describe("guards", () => {
  test("that somebody removes with everything else are put back", () => {
    kernel.protect();
    open(7);
    kernel.flush();
    protection.changed();
    expect([kernel.guards.length, inputs.length]).toEqual([1, 1]);
  });

  test("of local ports that are used no more go when there are very many", () => {
    kernel.protect();
    for (let port = 1; port <= 1_100; port++) {
      open(port, { address: "192.0.2.1", port });
      if (port > 1) protection.release(port);
    }
    expect(kernel.guards.length).toBe(1 + 1_024);
    expect(kernel.guards[0]).toMatchObject({ local: { port: 1 } });
  });

  test("that are left over are removed at the start", () => {
    protection.begin();
    expect(kernel.leftRemoved).toBe(1);
  });
});

describe("an answer from a listener", () => {
  const octets = Uint8Array.of(1, 2, 3);
  const check = { type: "check-protection", tunnel: "lyon", from: THERE, to: ANY, octets } as const;

  test("is guarded for any local address, as the listener is bound to none", () => {
    kernel.protect();
    expect(protection.judge(check)).toEqual({ type: "datagram", from: THERE, to: ANY, octets, protected: true });
    expect(kernel.guards).toEqual([{ protocol: 17, local: ANY, remote: THERE }]);
  });

  test("is none without policies", () => {
    expect(protection.judge(check)).toEqual({ type: "unprotected", tunnel: "lyon", reason: MISSING });
    expect(kernel.guards).toEqual([]);
  });
});
