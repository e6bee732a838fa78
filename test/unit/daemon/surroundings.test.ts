import { describe, expect, test } from "vitest";
import { parseSite } from "../../../src/config/load.ts";
import type { Input, LocalEndpoint } from "../../../src/control/core.ts";
import { listenAt } from "../../../src/daemon/listen.ts";
import { Listeners } from "../../../src/daemon/listeners.ts";
import { Surroundings } from "../../../src/daemon/surroundings.ts";
import { KernelError } from "../../../src/kernel/kernel-error.ts";

const SILENT = { write: () => undefined, tracing: false };
const OWN = { type: "surroundings-changed", netns: null };
const LOCAL = { address: "192.0.2.1", port: 1701 };

describe("connections whose address has gone", () => {
  function machine(connections: readonly (readonly [number, string])[], netns?: string) {
    const inputs: Input[] = [];
    let addresses = new Set<string>();
    const ports = {
      core: { accept: (input: Input) => inputs.push(input) },
      sockets: { localAddresses: () => connections },
      listeners: { retry: () => inputs.push({ type: "start" }) },
      addresses: () => addresses,
      ...(netns === undefined ? {} : { netns }),
    };
    const surroundings = new Surroundings(ports);
    return (...now: readonly string[]) => {
      inputs.length = 0;
      addresses = new Set(now);
      surroundings.changed();
      return [...inputs];
    };
  }

  test("they are told, and then everybody may try again; listeners are opened before", () => {
    const change = machine([
      [7, "192.0.2.1"],
      [8, "192.0.2.2"],
    ]);
    expect(change("192.0.2.1", "192.0.2.2")).toEqual([{ type: "start" }, OWN]);
    expect(change("192.0.2.2", "192.0.2.3")).toEqual([
      { type: "start" },
      {
        type: "address-lost",
        localControlConnectionId: 7,
        reason: "this machine no longer has the address 192.0.2.1",
      },
      OWN,
    ]);
  });

  test("an address that was never there is bound on purpose, and any address is none", () => {
    const change = machine([
      [7, "203.0.113.1"],
      [8, "0.0.0.0"],
    ]);
    change("192.0.2.1");
    expect(change()).toEqual([{ type: "start" }, OWN]);
  });

  test("whose surroundings have changed is told", () => {
    expect(machine([], "blue")()).toEqual([{ type: "start" }, { type: "surroundings-changed", netns: "blue" }]);
  });
});

describe("listeners", () => {
  function listeners(errnos: string[]) {
    const events: string[] = [];
    const closed: LocalEndpoint[] = [];
    /** Devices by name. */
    const indices = new Map<string, number>();
    const transport = {
      listen: () => {
        const errno = errnos.shift();
        if (errno !== undefined) throw new KernelError(errno, { errno, command: "bind" });
      },
      unlisten: (local: LocalEndpoint) => void closed.push(local),
    };
    const index = ({ device = "" }: LocalEndpoint) => indices.get(device) ?? 0;
    const it = new Listeners(transport, { write: ({ event }) => void events.push(event) }, false, index);
    return { events, closed, indices, it };
  }

  test("one whose address is missing is opened when it comes, once", () => {
    const { events, it } = listeners(["EADDRNOTAVAIL", "EADDRNOTAVAIL"]);
    it.listen(LOCAL);
    it.retry();
    expect(events).toEqual(["listener-waits"]);
    it.retry();
    it.retry();
    expect(events).toEqual(["listener-waits", "listener-opened"]);
  });

  test("one whose port another program has is no matter of waiting", () => {
    const { it } = listeners(["EADDRINUSE"]);
    expect(() => it.listen(LOCAL)).toThrow("EADDRINUSE");
  });

  test("a port that another program has is no matter where no tunnel needs it", async () => {
    const start = (toml: string) => listenAt(listeners(["EADDRINUSE"]).it, parseSite(toml, "site.toml"), SILENT);
    const elsewhere = '[tunnel.t]\npeer = "192.0.2.2"\nnetns = "x"\n';
    const typedIn = `${elsewhere.replace("netns", "mode").replace('"x"', '"static"')}local_tunnel_id = 1\nremote_tunnel_id = 2\n`;
    await start(elsewhere);
    await start(typedIn);
    for (const own of [elsewhere, typedIn].map((toml) => `[lcce]\nlisten = ["udp:0.0.0.0:1701"]\n${toml}`)) {
      await expect(start(own)).rejects.toThrow("EADDRINUSE");
    }
  });

  test("another program that was faster does not end the daemon", () => {
    const { events, it } = listeners(["EADDRNOTAVAIL", "EADDRINUSE"]);
    it.listen(LOCAL);
    it.retry();
    it.retry();
    expect(events).toEqual(["listener-waits", "listener-failed", "listener-opened"]);
  });

  test("one whose device is missing is opened when it comes, and again when it was made anew", () => {
    const { events, closed, indices, it } = listeners(["ENODEV"]);
    const local = { ...LOCAL, address: "0.0.0.0", device: "vrf-red" };
    it.listen(local);
    indices.set("vrf-red", 7);
    it.retry();
    expect(events).toEqual(["listener-waits", "listener-opened"]);
    it.retry();
    expect(closed).toEqual([]);
    indices.set("vrf-red", 8);
    it.retry();
    expect(closed).toEqual([local]);
    expect(events).toEqual(["listener-waits", "listener-opened", "listener-waits", "listener-opened"]);
  });

  test("what comes in one namespace says nothing of another, and what is left is not tried again", () => {
    const { events, closed, it } = listeners(["EADDRNOTAVAIL", "EADDRNOTAVAIL"]);
    it.listen({ ...LOCAL, netns: "blue" });
    it.listen({ ...LOCAL, netns: "red" });
    it.retry();
    it.retry("blue");
    expect(events).toEqual(["listener-waits", "listener-waits", "listener-opened"]);
    it.leave("blue");
    it.leave("red");
    expect(closed).toEqual([{ ...LOCAL, netns: "blue" }]);
    it.retry("red");
    expect(events).toHaveLength(3);
  });

  test("one that is put off is tried again, whatever it failed for", () => {
    const { events, it } = listeners([]);
    it.putOff(LOCAL, new Error("EPERM"));
    it.retry();
    expect(events).toEqual(["listener-failed", "listener-opened"]);
  });
});
