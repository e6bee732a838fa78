import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type DaemonProcess, until } from "../support/daemon-process.ts";
import { namespacesMissing } from "../support/namespaces.ts";
import { type Site, TwoSites } from "../support/two-sites.ts";

const missing = namespacesMissing();
const UP_MS = 10_000;
/** A HELLO after 1 s at the latest, and four transmissions of it: 4 s in all. */
const DEAD_PEER_MS = 8_000;

let sites: TwoSites;

describe.skipIf(missing !== undefined)(
  `I27 static tunnels, userspace datapath${missing ? ` (${missing})` : ""}`,
  () => {
    beforeEach(() => {
      sites = new TwoSites();
    });
    afterEach(() => sites.remove());

    test("two ends that have the same typed in carry frames, without a single control message", async () => {
      const [paris, lyon] = [start(sites.paris, "static"), start(sites.lyon, "static")];
      expect(await paris.untilUp(UP_MS)).toMatchObject({ local_ccid: 1001, remote_ccid: 1002, last_error: "" });
      expect((await lyon.untilUp(UP_MS)).sessions[0]).toMatchObject({
        local_session_id: 12,
        remote_session_id: 11,
        local_cookie_size: 8,
        remote_cookie_size: 4,
      });
      expect(await sites.ping(sites.paris, 3)).toMatchObject({ received: 3 });
      expect(await sites.ping(sites.lyon, 3)).toMatchObject({ received: 3 });

      // The same ids at once again: what is being deleted must not be taken for what is being made.
      for (let round = 0; round < 3; round++) {
        expect(await paris.command("close", "lyon")).toMatchObject({ code: 0 });
        expect(sites.paris.namespace.devices()).not.toContain("l2-lyon");
        expect(await paris.command("open", "lyon")).toMatchObject({ code: 0 });
        await paris.untilUp(UP_MS);
      }
      expect(await sites.ping(sites.paris, 3)).toMatchObject({ received: 3 });
      expect(await paris.stop("SIGTERM")).toMatchObject({ code: 0 });
      expect(sites.paris.namespace.devices()).not.toContain("l2-lyon");
      const all = [...paris.log, ...lyon.log];
      expect(all.filter(({ level }) => level === "error")).toEqual([]);
      expect(all.filter(({ event }) => event === "message-sent")).toEqual([]);
    });

    test("a device that somebody deletes is made anew", async () => {
      const [paris, lyon] = [start(sites.paris, "static"), start(sites.lyon, "static")];
      await Promise.all([paris.untilUp(UP_MS), lyon.untilUp(UP_MS)]);
      sites.paris.namespace.ip("link", "delete", "l2-lyon");
      await paris.untilLogged("the loss", UP_MS, ({ event }) => event === "session-failed");
      await paris.untilUp(UP_MS);
      expect(await sites.ping(sites.paris, 3)).toMatchObject({ received: 3 });
    });

    test("hello-only: a cut takes the interfaces down within a cycle, and the repair brings them back", async () => {
      const paris = start(sites.paris, "hello-only");
      const alone = await paris.untilTunnel("no answer", UP_MS, ({ last_error }) => last_error !== "");
      expect(alone).toMatchObject({ state: "idle", last_error: expect.stringMatching(/no answer to HELLO/) });
      expect(isUp(sites.paris, "l2-lyon")).toBe(false);

      const lyon = start(sites.lyon, "hello-only");
      await Promise.all([paris.untilUp(UP_MS), lyon.untilUp(UP_MS)]);
      expect(await sites.ping(sites.paris, 3)).toMatchObject({ received: 3 });

      sites.link.cut();
      await until(
        "interfaces down",
        DEAD_PEER_MS,
        () => !isUp(sites.paris, "l2-lyon") && !isUp(sites.lyon, "l2-paris"),
      );
      for (const daemon of [paris, lyon]) {
        const { state, last_error, sessions } = await daemon.untilTunnel(
          "idle",
          5_000,
          (tunnel) => tunnel.state === "idle",
        );
        expect([state, sessions[0]?.state]).toEqual(["idle", "idle"]);
        expect(last_error).toMatch(/no answer to HELLO/);
      }
      sites.link.restore();
      await Promise.all([paris.untilUp(UP_MS), lyon.untilUp(UP_MS)]);
      expect(await sites.ping(sites.lyon, 3)).toMatchObject({ received: 3 });

      await paris.stop("SIGKILL");
      const again = start(sites.paris, "hello-only");
      await Promise.all([again.untilUp(UP_MS), lyon.untilUp(UP_MS)]);
      expect(await sites.ping(sites.paris, 3)).toMatchObject({ received: 3 });
    });
  },
);

function isUp({ namespace }: Site, device: string): boolean {
  const links: { readonly flags: readonly string[] }[] = JSON.parse(
    namespace.ip("-json", "link", "show", "dev", device),
  );
  return links[0]?.flags.includes("UP") ?? false;
}

/** Numbers end in 1 at paris and in 2 at lyon; cookies of 4 octets go to paris, of 8 to lyon. */
function start(site: Site, mode: "static" | "hello-only"): DaemonProcess {
  const peer = sites.other(site);
  const [mine, theirs] = site.name === "paris" ? [1, 2] : [2, 1];
  const cookies = { 1: "0a0b0c0d", 2: "1122334455667788" };
  const watch = 'hello_interval = "1s"\nretransmit = { initial = "200ms", retries = 3 }';
  const configuration = `
[lcce]
hostname = "site-${site.name}"
admin_socket = "${site.adminSocket}"
log_level = "trace"
datapath = "userspace"
[tunnel.${peer.name}]
mode = "${mode}"
peer = "${peer.address}"
local_tunnel_id = ${1000 + mine}
remote_tunnel_id = ${1000 + theirs}
reconnect = { min = "300ms", max = "1s" }
${mode === "static" ? "" : watch}
[tunnel.${peer.name}.session.lan42]
interface = "l2-${peer.name}"
local_session_id = ${10 + mine}
remote_session_id = ${10 + theirs}
local_cookie = "${cookies[mine as 1 | 2]}"
remote_cookie = "${cookies[theirs as 1 | 2]}"
addresses = ["${site.pseudowireAddress}/24"]
`;
  return sites.start(site, configuration);
}
