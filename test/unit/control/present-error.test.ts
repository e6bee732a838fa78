import { describe, expect, test } from "vitest";
import { authentication, OTHER_SECRET, SECRET, type Sites, sites, up } from "../../support/authenticated-sites.ts";
import { sessionOf, tunnelOf } from "../../support/scripted-peer.ts";
import { A, B } from "../../support/sites.ts";
import type { VirtualNode } from "../../support/virtual-link.ts";

const OFF = authentication({ secrets: [], digest: "none" });
const DROPPED =
  /^messages dropped because their digest is missing or wrong: (\d+); is the secret the same at both ends\?$/;

function errorOf(node: VirtualNode): string {
  return tunnelOf(node).lastError;
}

function started(world: Sites): Sites {
  world.link.start();
  return world;
}

/** Nothing arrives any more, as from a peer whose daemon does not run. */
function cut({ link }: Sites): void {
  link.fate = () => [];
}

describe("messages that are dropped for their digest", () => {
  const TWO_SECRETS = () => sites(authentication(), authentication({ secrets: [OTHER_SECRET] }));

  test("are what is wrong at an end that waits for its peer", () => {
    const { link, b } = started(TWO_SECRETS());
    link.run(4_000);
    expect(DROPPED.exec(errorOf(b))?.[1]).toBe("3");
  });

  test("come before an older error", () => {
    const world = started(sites(authentication(), authentication()));
    const { link, a, b } = world;
    expect(up(world)).toBe(true);
    b.receive({
      type: "authentication-changed",
      tunnel: "to-a",
      authentication: authentication({ secrets: [OTHER_SECRET] }),
    });
    a.receive({ type: "authentication-changed", tunnel: "to-b", authentication: authentication() });
    link.run(300_000);
    expect(tunnelOf(b).state).toBe("idle");
    expect(errorOf(b)).toMatch(DROPPED);
  });

  test("come before silence where both ends open", () => {
    const world = sites(authentication(), authentication({ secrets: [OTHER_SECRET] }), { role: "both" });
    started(world).link.run(5_000);
    expect([world.a, world.b].map((node) => DROPPED.test(errorOf(node)))).toEqual([true, true]);
  });

  test("are the reason why an attempt is given up, and not that nobody is there", () => {
    const world = started(sites(authentication(), authentication({ secrets: [OTHER_SECRET] }), { role: "both" }));
    const { link, a } = world;
    const failure = () => a.log.find(({ event }) => event === "control-connection-failed")?.message;
    expect(link.runUntil(() => failure() !== undefined, 300_000)).toBe(true);
    expect(failure()).toMatch(
      /^no genuine answer from \S+ port 1701: messages dropped because their digest is missing or wrong: \d+; is the secret the same at both ends\?$/,
    );
  });

  test("are forgotten when the secret is right: by what is genuine, or by another secret", () => {
    const world = started(TWO_SECRETS());
    const { link, b } = world;
    link.run(4_000);
    b.receive({
      type: "authentication-changed",
      tunnel: "to-a",
      authentication: authentication({ secrets: [SECRET] }),
    });
    expect(errorOf(b)).toBe("");
    expect(up(world)).toBe(true);
    expect(errorOf(b)).toBe("");
  });

  test("say nothing about a connection that is up", () => {
    const world = started(sites(OFF, OFF));
    expect(up(world)).toBe(true);
    const stranger = authentication();
    world.a.receive({ type: "authentication-changed", tunnel: "to-b", authentication: stranger });
    world.link.run(1_000);
    expect(errorOf(world.b)).toBe("");
  });
});

describe("a peer that does not answer", () => {
  test("from the second SCCRQ on the tries are told", () => {
    const world = started(sites(OFF, OFF));
    cut(world);
    const { link, a } = world;
    link.run(500);
    expect(errorOf(a)).toBe("");
    link.run(1_000);
    expect(errorOf(a)).toBe(`no answer yet from ${B} port 1701, 2 tries`);
    link.run(2_000);
    expect(errorOf(a)).toBe(`no answer yet from ${B} port 1701, 3 tries`);
  });

  test("that comes before what ended the connection before", () => {
    const world = started(sites(OFF, OFF));
    const { link, a, b } = world;
    expect(up(world)).toBe(true);
    b.receive({ type: "shutdown" });
    link.run(100);
    expect(errorOf(a)).toContain("the peer is being shut down");
    cut(world);
    expect(link.runUntil(() => tunnelOf(a).state === "wait-ctl-reply", 60_000)).toBe(true);
    link.run(1_500);
    expect(errorOf(a)).toBe(`no answer yet from ${B} port 1701, 2 tries`);
  });

  test("over IP there is no port", () => {
    const world = started(sites(OFF, OFF, { encapsulation: "ip" }));
    cut(world);
    world.link.run(1_500);
    expect(errorOf(world.a)).toBe(`no answer yet from ${B}, 2 tries`);
  });

  test("nor to an SCCRP", () => {
    const world = started(sites(OFF, OFF));
    world.link.fate = ({ from }) => (from.address === A ? [10] : []);
    world.link.run(1_500);
    expect(errorOf(world.b)).toBe(`no answer yet from ${A} port 1701, 2 tries`);
  });
});

test("a session that ended with its control connection has the same error as that", () => {
  const world = started(sites(OFF, OFF));
  const { link, a, b } = world;
  expect(up(world)).toBe(true);
  b.receive({ type: "shutdown" });
  link.run(100);
  expect(sessionOf(a).lastError).toContain("the peer is being shut down");
  cut(world);
  const tried = () => errorOf(a).startsWith("no answer yet");
  expect(link.runUntil(tried, 60_000)).toBe(true);
  expect(sessionOf(a).lastError).toBe(errorOf(a));
});

test("a session that was refused keeps its error whatever becomes of the control connection", () => {
  const world = started(sites(OFF, OFF));
  const { link, a, b } = world;
  b.receive({ type: "close", tunnel: "to-a", session: "x" });
  expect(link.runUntil(() => sessionOf(a).lastError !== "", 10_000)).toBe(true);
  const refusal = sessionOf(a).lastError;
  expect(refusal).toContain("(CDN)");
  b.receive({ type: "shutdown" });
  link.run(100);
  cut(world);
  expect(link.runUntil(() => errorOf(a).startsWith("no answer yet"), 600_000)).toBe(true);
  expect(sessionOf(a).lastError).toBe(refusal);
});

describe("what an administrator has closed", () => {
  test("says so, whatever was wrong before, and whoever is refused since", () => {
    const world = started(sites(OFF, OFF));
    cut(world);
    world.link.run(4_000);
    world.a.receive({ type: "close", tunnel: "to-b" });
    expect(errorOf(world.a)).toBe("closed by the administrator");
    world.b.receive({ type: "close", tunnel: "to-a" });
    world.link.fate = () => [10];
    world.a.receive({ type: "open", tunnel: "to-b" });
    world.link.run(100);
    expect(errorOf(world.b)).toBe("closed by the administrator");
    expect(errorOf(world.a)).toBe(
      "the peer closed the control connection (StopCCN): closed by the administrator (result 1: general request to clear the control connection)",
    );
  });

  test("says it no longer when it is opened, nor do its sessions", () => {
    const world = started(sites(OFF, OFF));
    expect(up(world)).toBe(true);
    world.a.receive({ type: "close", tunnel: "to-b" });
    expect([errorOf(world.a), sessionOf(world.a).lastError]).toEqual(Array(2).fill("closed by the administrator"));
    cut(world);
    world.a.receive({ type: "open", tunnel: "to-b" });
    expect([errorOf(world.a), sessionOf(world.a).lastError]).toEqual(["", ""]);
  });

  test("nor does a session by itself; one that was closed for itself stays so", () => {
    const world = started(sites(OFF, OFF));
    const { a, link } = world;
    expect(up(world)).toBe(true);
    a.receive({ type: "close", tunnel: "to-b", session: "x" });
    link.run(1_000);
    a.receive({ type: "close", tunnel: "to-b" });
    a.receive({ type: "open", tunnel: "to-b" });
    expect(sessionOf(a).lastError).toBe("closed by the administrator");
    cut(world);
    a.receive({ type: "open", tunnel: "to-b", session: "x" });
    expect(sessionOf(a).lastError).toBe("");
  });

  test("what is tried again now without having been closed keeps its error", () => {
    const world = started(sites(OFF, OFF));
    cut(world);
    const { link, a } = world;
    const failed = () => a.log.some(({ event }) => event === "control-connection-failed");
    expect(link.runUntil(failed, 300_000)).toBe(true);
    a.receive({ type: "open", tunnel: "to-b" });
    expect(errorOf(a)).toContain("cannot be reached");
  });
});

describe("when it is tried again", () => {
  const nextOf = ({ core }: VirtualNode) => {
    const [tunnel] = core.details();
    return { tunnel: tunnel?.nextAttempt, sessions: tunnel?.sessions.map(({ nextAttempt }) => nextAttempt) };
  };

  test("a session comes with its tunnel, unless it is closed", () => {
    const world = started(sites(OFF, OFF));
    const { link, a, b } = world;
    expect(up(world)).toBe(true);
    a.receive({ type: "close", tunnel: "to-b", session: "y" });
    b.receive({ type: "shutdown" });
    link.run(100);
    const { tunnel, sessions } = nextOf(a);
    expect(tunnel).toBeGreaterThan(link.now);
    expect(sessions).toEqual([tunnel, undefined]);
  });

  test("a session that was refused has a time of its own", () => {
    const world = started(sites(OFF, OFF));
    const { link, a, b } = world;
    b.receive({ type: "close", tunnel: "to-a", session: "x" });
    const refused = () => sessionOf(a).lastError !== "";
    expect(link.runUntil(refused, 10_000)).toBe(true);
    const { tunnel, sessions } = nextOf(a);
    expect(tunnel).toBeUndefined();
    expect(sessions?.[0]).toBeGreaterThan(link.now);
  });
});
