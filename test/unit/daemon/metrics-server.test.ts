import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import type { MetricsSource } from "../../../src/daemon/metric-rows.ts";
import { type MetricsServer, openMetricsServer } from "../../../src/daemon/metrics-server.ts";
import { ProcessWatch } from "../../../src/daemon/process-facts.ts";
import { metricsSource } from "../../support/metrics-source.ts";

const source = metricsSource();
const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const act of cleanUp.splice(0).toReversed()) await act();
});

/** A port that nobody has. */
async function freePort(host = "127.0.0.1"): Promise<number> {
  const server = createServer().listen(0, host);
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}

async function serve(
  gather: () => Promise<MetricsSource> = async () => source,
  clientMs = 10_000,
): Promise<MetricsServer> {
  const server = await openMetricsServer(`127.0.0.1:${await freePort()}`, gather, { clientMs });
  cleanUp.push(() => server.close());
  return server;
}

const url = ({ port }: MetricsServer, path = "/metrics") => `http://127.0.0.1:${port}${path}`;

test("GET /metrics answers in the format 0.0.4", async () => {
  const response = await fetch(url(await serve()));
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  const text = await response.text();
  expect(text).toMatch(/^# HELP l2tpv3_build_info .*\n# TYPE l2tpv3_build_info gauge\nl2tpv3_build_info\{/);
  expect(text).toContain('l2tpv3_session_received_packets_total{tunnel="b",session="x"} 11\n');
  expect(text).not.toContain("# EOF");
  // Each line a comment or a sample, the last one ended.
  const lines = text.split("\n");
  expect(lines.pop()).toBe("");
  expect(
    lines.filter((line) => !/^(?:# (?:HELP|TYPE) \w+ .+|\w+(?:\{(?:\w+="[^"\n]*",?)+\})? \S+)$/.test(line)),
  ).toEqual([]);
});

test("OpenMetrics where the client would rather have it", async () => {
  const headers = { Accept: "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5" };
  const response = await fetch(url(await serve(), "/metrics?x=1"), { headers });
  expect(response.headers.get("content-type")).toBe("application/openmetrics-text; version=1.0.0; charset=utf-8");
  expect(await response.text()).toMatch(/# TYPE l2tpv3_tunnel_failures counter\n.*\n# EOF\n$/s);
});

test.each([
  ["/", "GET", 404, null],
  ["/metrics/", "GET", 404, null],
  ["/", "POST", 404, null],
  ["/metrics", "POST", 405, "GET"],
  ["/metrics", "HEAD", 405, "GET"],
  ["/metrics", "DELETE", 405, "GET"],
])("%s %s: %i", async (path, method, status, allow) => {
  const response = await fetch(url(await serve(), path), { method });
  expect([response.status, response.headers.get("allow")]).toEqual([status, allow]);
});

test("IPv6 in brackets", async () => {
  const address = `[::1]:${await freePort("::1")}`;
  const server = await openMetricsServer(address, async () => source);
  cleanUp.push(() => server.close());
  expect((await fetch(`http://${address}/metrics`)).status).toBe(200);
});

test("an address that is in use, or not of this machine, is named", async () => {
  const { port } = await serve();
  const again = openMetricsServer(`127.0.0.1:${port}`, async () => source);
  await expect(again).rejects.toThrow(`metrics at 127.0.0.1:${port}: listen EADDRINUSE`);
  const elsewhere = openMetricsServer(`192.0.2.77:${port}`, async () => source);
  await expect(elsewhere).rejects.toThrow(`metrics at 192.0.2.77:${port}: listen EADDRNOTAVAIL`);
});

test("the datapath is asked once, however many ask at the same time", async () => {
  let asked = 0;
  let answer: (source: MetricsSource) => void = () => undefined;
  const server = await serve(() => {
    asked += 1;
    return new Promise((resolve) => {
      answer = resolve;
    });
  });
  const responses = Promise.all(Array.from({ length: 5 }, () => fetch(url(server))));
  await expect.poll(() => asked).toBe(1);
  // Long enough for all of them to have come.
  await new Promise((resolve) => setTimeout(resolve, 200));
  answer(source);
  expect((await responses).map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
  expect(asked).toBe(1);
});

async function connectTo({ port }: MetricsServer): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  cleanUp.push(() => socket.destroy());
  socket.on("error", () => undefined);
  await once(socket, "connect");
  return socket;
}

test("whoever does not finish a request, or does not read the answer, is dropped in time", async () => {
  // More than the buffers of a connection hold.
  const tunnels = Array.from({ length: 20_000 }, (_, index) => ({ ...source.view.tunnels[0], name: `t${index}` }));
  const big = { ...source, view: { ...source.view, tunnels } } as MetricsSource;
  const server = await serve(async () => big, 300);
  const [silent, halfway, deaf] = await Promise.all([connectTo(server), connectTo(server), connectTo(server)]);
  halfway.write("GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ");
  deaf.pause();
  deaf.write("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  const closed = [silent, halfway].map(async (socket) => {
    socket.resume();
    await once(socket, "close");
  });
  await Promise.all(closed);
  // What had been sent is still there to be read, and then nothing more.
  await new Promise((resolve) => setTimeout(resolve, 500));
  let received = "";
  deaf.on("data", (octets) => {
    received += octets.toString();
  });
  deaf.resume();
  await once(deaf, "close");
  expect(received).toMatch(/^HTTP\/1\.1 200 OK/);
  expect(received).not.toContain("nodejs_eventloop_lag_max_seconds");
});

test("no more than sixteen clients at a time", async () => {
  const server = await serve();
  const sockets = await Promise.all(Array.from({ length: 16 }, () => connectTo(server)));
  await expect(fetch(url(server))).rejects.toThrow();
  for (const socket of sockets) socket.destroy();
  await expect.poll(async () => (await fetch(url(server)).catch(() => undefined))?.status).toBe(200);
});

test("an error of ours costs the client its connection and nobody anything else", async () => {
  let wrong = true;
  const server = await serve(async () => {
    if (wrong) throw new Error("bug");
    return source;
  });
  await expect(fetch(url(server))).rejects.toThrow();
  wrong = false;
  expect((await fetch(url(server))).status).toBe(200);
});

test("process facts are those of this process, and notice a late event loop", async () => {
  const watch = new ProcessWatch();
  cleanUp.push(() => watch.close());
  expect(watch.facts()).toMatchObject({ lagP99Seconds: 0, lagMaxSeconds: 0 });
  await new Promise((resolve) => setTimeout(resolve, 100));
  const end = performance.now() + 300;
  while (performance.now() < end);
  await new Promise((resolve) => setTimeout(resolve, 100));
  const facts = watch.facts();
  expect(facts.lagMaxSeconds).toBeGreaterThan(0.2);
  expect(facts.lagMaxSeconds).toBeLessThan(5);
  expect(facts.cpuSeconds).toBeGreaterThan(0.2);
  expect(Math.abs(facts.startedAtSeconds - (Date.now() / 1000 - process.uptime()))).toBeLessThan(1);
  expect(facts.residentBytes).toBeGreaterThan(10_000_000);
  expect(facts.openFiles).toBeGreaterThan(3);
});
