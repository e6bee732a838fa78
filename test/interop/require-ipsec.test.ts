import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type DaemonProcess, until } from "../support/daemon-process.ts";
import { CAPTURE } from "../support/frame-capture.ts";
import { type NetworkNamespace, namespacesMissing } from "../support/namespaces.ts";
import { type Extra, type Site, TwoSites } from "../support/two-sites.ts";

/*
 * This machine needs no ESP of its own: the policies are all that the daemon asks for. Without keys the kernel lets nothing
 * out that they are for, so tunnels do not come up here; in the virtual machine they do (guest/daemon-ipsec.mjs).
 */

const UP_MS = 10_000;
const SOON_MS = 3_000;
/** In which a daemon that does not wait would have sent something, several times. */
const WAITING_MS = 2_500;
/** As `ip xfrm policy` shows them. */
const GUARD = /dir (?:in|out) action block priority 4294967040/g;

/** Sends a datagram from 192.0.2.1 to 192.0.2.2 port 1701; prints what became of it. */
const SEND = `
  const socket = require("node:dgram").createSocket({ type: "udp4", reuseAddr: true });
  socket.bind(Number(process.argv[1]), "192.0.2.1", () => {
    socket.send("clear", 1701, "192.0.2.2", (error) => {
      console.log(error?.code ?? "sent");
      socket.close();
    });
  });
`;

/** Who has sent UDP in clear, by the last octet of its address. */
class Capture {
  readonly senders: number[] = [];
  readonly #child: ChildProcess;
  #ready = false;

  constructor({ namespace }: Site) {
    const args = ["--input-type=module", "-e", CAPTURE];
    this.#child = namespace.spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    const { stdout } = this.#child;
    if (stdout === null) throw new Error("no standard output");
    createInterface(stdout).on("line", (line) => {
      if (line === "ready") this.#ready = true;
      else this.#read(Buffer.from(line, "hex"));
    });
  }

  #read(frame: Buffer): void {
    if (frame.readUInt16BE(12) === 0x0800 && frame.readUInt8(14 + 9) === 17)
      this.senders.push(frame.readUInt8(14 + 15));
  }

  async start(): Promise<void> {
    await until("the packet socket listens", UP_MS, () => this.#ready);
  }

  stop(): void {
    this.#child.kill("SIGKILL");
  }
}

const missing = namespacesMissing();
let sites: TwoSites;
let capture: Capture;

describe.skipIf(missing !== undefined)(`require_ipsec${missing ? ` (${missing})` : ""}`, () => {
  beforeEach(async () => {
    sites = new TwoSites();
    capture = new Capture(sites.paris);
    await capture.start();
  });
  afterEach(() => {
    capture.stop();
    sites.remove();
  });

  const SLOW = 'reconnect = { min = "60s", max = "60s" }';

  test.each(["", "local_port = 0", 'local = "192.0.2.1"', 'local = "@wan"'])(
    "an initiator sends nothing until the policies come, goes on at once, and stops when they go: %s",
    async (more) => {
      const { paris, lyon } = sites;
      start(lyon, {});
      const initiator = start(paris, { tunnel: `require_ipsec = true\n${SLOW}\n${more}` });
      const { last_error, ipsec } = await initiator.untilTunnel("waits", UP_MS, (tunnel) => tunnel.last_error !== "");
      const port = more === "local_port = 0" ? "" : " port 1701";
      const between = `between 192.0.2.1${port} and 192.0.2.2 port 1701`;
      expect(last_error).toBe(`require_ipsec: no IPsec policy protects UDP ${between}; it is waited for`);
      expect(ipsec).toBe("required");
      expect(initiator.log.filter(({ message }) => message === last_error).length).toBe(1);
      await sleep(WAITING_MS);
      expect(policies(paris.namespace)).toBe("");

      protect(paris, "out");
      await sleep(500);
      expect((await initiator.tunnel())?.state).toBe("idle");
      protect(paris, "in");
      await until("it goes on", SOON_MS, async () => (await initiator.tunnel())?.state === "wait-ctl-reply");
      expect((await initiator.tunnel())?.ipsec).toBe("protected");
      expect(guards(paris)).toBe(2);

      paris.namespace.ip("xfrm", "policy", "delete", ...selector(paris, "out"), "dir", "out");
      const lost = await initiator.untilTunnel("notices", SOON_MS, ({ state }) => state === "idle");
      expect(lost.last_error).toMatch(
        /^require_ipsec: no IPsec policy protects UDP sent from 192.0.2.1( port \d+)? to /,
      );
      await sleep(1_000);
      expect(guards(paris)).toBe(2);
      expect(capture.senders).toEqual([]);
      await initiator.stop("SIGTERM");
      expect(guards(paris)).toBe(0);
      expect(policies(paris.namespace)).toContain("dir in");
    },
  );

  test("a responder that knows its peer by name answers no SCCRQ in clear", async () => {
    const { paris, lyon } = sites;
    const configuration = sites
      .configuration(lyon, {
        lcce: 'datapath = "userspace"',
        tunnel: 'peer_hostname = "site-paris"\nrequire_ipsec = true',
      })
      .replace(/^peer = .*$/m, "");
    const responder = sites.start(lyon, configuration);
    await until("it listens", UP_MS, () => responder.log.some(({ event }) => event === "ready"));
    start(paris, {});
    const { last_error } = await responder.untilTunnel("told why", UP_MS, (tunnel) => tunnel.last_error !== "");
    expect(last_error).toContain("no IPsec policy protects UDP between 192.0.2.2 port 1701 and 192.0.2.1 port 1701");
    await sleep(WAITING_MS);
    expect(capture.senders.filter((sender) => sender === 1).length).toBeGreaterThan(3);
    expect(capture.senders.filter((sender) => sender === 2)).toEqual([]);
    expect(responder.log.filter(({ event }) => event === "ipsec-missing").length).toBe(1);
  });

  test("killed, its guard stays for its flow alone; the next daemon removes it", async () => {
    const { paris } = sites;
    const first = start(paris, { tunnel: "require_ipsec = true" });
    await until("it runs", UP_MS, () => first.log.some(({ event }) => event === "ready"));
    for (const direction of ["out", "in"] as const) protect(paris, direction);
    await until("guarded", UP_MS, () => guards(paris) === 2);
    await first.stop("SIGKILL");
    for (const direction of ["out", "in"] as const) {
      paris.namespace.ip("xfrm", "policy", "delete", ...selector(paris, direction), "dir", direction);
    }
    expect(guards(paris)).toBe(2);
    expect([await send(paris, 1701), await send(paris, 1702)]).toEqual(["EPERM", "sent"]);
    await until("the other port's datagram is seen", SOON_MS, () => capture.senders.length > 0);
    expect(capture.senders).toEqual([1]);

    const second = start(paris, {});
    await until("it runs", UP_MS, () => second.log.some(({ event }) => event === "ready"));
    expect(policies(paris.namespace)).toBe("");
    expect(await send(paris, 1701)).toBe("sent");
  });

  test("somebody who removes all policies removes guards too: they are put back", async () => {
    const { paris } = sites;
    const initiator = start(paris, { tunnel: "require_ipsec = true" });
    await until("it runs", UP_MS, () => initiator.log.some(({ event }) => event === "ready"));
    for (const direction of ["out", "in"] as const) protect(paris, direction);
    await until("guarded", UP_MS, () => guards(paris) === 2);
    paris.namespace.ip("xfrm", "policy", "flush");
    await until("guarded again", SOON_MS, () => guards(paris) === 2);
    await initiator.untilTunnel("waits again", SOON_MS, ({ last_error }) => last_error.includes("waited for"));
  });

  test("a static tunnel in a network namespace of its own, seen by show and by the doctor", async () => {
    const { paris, lyon } = sites;
    const configuration = [
      `[lcce]\nadmin_socket = "${paris.adminSocket}"\ndatapath = "none"\nlog_level = "debug"`,
      `[tunnel.lyon]\nmode = "hello-only"\npeer = "192.0.2.2"\nnetns = "${paris.namespace.name}"\n${SLOW}`,
      "require_ipsec = true\nlocal_tunnel_id = 1\nremote_tunnel_id = 2",
    ].join("\n");
    // A namespace that has no way to anybody.
    const daemon = sites.start({ ...lyon, name: "paris" }, configuration);
    await daemon.untilTunnel("waits", UP_MS, ({ last_error }) => last_error.includes("it is waited for"));
    expect((await daemon.show())?.tunnels).toMatchObject([{ ipsec: "required" }]);
    const doctor = async () => (await daemon.command("doctor")).stdout;
    expect(await doctor()).toMatch(/IPsec of tunnel lyon.*\n?.*require_ipsec: no IPsec policy protects UDP between/);
    await sleep(1_000);
    expect(capture.senders).toEqual([]);
    for (const direction of ["out", "in"] as const) protect(paris, direction);
    await until("guarded", SOON_MS, () => guards(paris) === 2);
    expect(await doctor()).toMatch(/a policy protects what is sent/);
    expect(policies(lyon.namespace)).toBe("");
    await daemon.stop("SIGTERM");
    expect(guards(paris)).toBe(0);
    expect(capture.senders).toEqual([]);
  });
});

function start(site: Site, extra: Extra): DaemonProcess {
  return sites.start(
    site,
    sites.configuration(site, { ...extra, lcce: `datapath = "userspace"\n${extra.lcce ?? ""}` }),
  );
}

function selector({ name }: Site, direction: "in" | "out"): readonly string[] {
  const addresses = ["192.0.2.1", "192.0.2.2"];
  const [source = "", destination = ""] =
    (name === "paris") === (direction === "out") ? addresses : addresses.reverse();
  return ["src", source, "dst", destination, "proto", "udp"];
}

function protect(site: Site, direction: "in" | "out"): void {
  const words = ["dir", direction, "tmpl", "proto", "esp", "mode", "transport"];
  site.namespace.ip("xfrm", "policy", "add", ...selector(site, direction), ...words);
}

function policies(namespace: NetworkNamespace): string {
  return namespace.ip("xfrm", "policy", "show");
}

function guards({ namespace }: Site): number {
  return policies(namespace).match(GUARD)?.length ?? 0;
}

async function send({ namespace }: Site, port: number): Promise<string> {
  return (await namespace.run(process.execPath, ["-e", SEND, String(port)])).stdout.trim();
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
