import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { NetworkNamespace } from "../../support/namespaces.ts";

/**
 * Forwards control messages between 127.0.0.1:7000 and a server, and drops the given share of them in either direction.
 * Which ones, a linear congruential generator says (Numerical Recipes' constants), one for each direction.
 */
const PROXY = `
const { createSocket } = require("node:dgram");
const [server, share, seed] = [process.argv[1], Number(process.argv[2]), Number(process.argv[3])];
const [inside, outside] = [createSocket("udp4"), createSocket("udp4")];
const counts = { forth: { passed: 0, dropped: 0 }, back: { passed: 0, dropped: 0 } };
let client;
function direction(name, seed, forward) {
  let state = seed;
  return (octets, from) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const lost = state / 2 ** 32 < share;
    counts[name][lost ? "dropped" : "passed"] += 1;
    if (name === "forth") client = from;
    if (!lost) forward(octets);
  };
}
inside.on("message", direction("forth", seed, (octets) => outside.send(octets, 1701, server)));
outside.on("message", direction("back", seed + 1, (octets) => inside.send(octets, client.port, client.address)));
outside.bind(0, () => inside.bind(7000, "127.0.0.1", () => process.send("ready")));
process.on("message", () => process.send(counts));
process.on("disconnect", () => process.exit());
`;

interface Passage {
  readonly passed: number;
  readonly dropped: number;
}

export class LossyProxy {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(
    namespace: NetworkNamespace,
    { server, share, seed }: { readonly server: string; readonly share: number; readonly seed: number },
  ): Promise<LossyProxy> {
    const args = ["-e", PROXY, server, String(share), String(seed)];
    const child = namespace.spawn(process.execPath, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    await once(child, "message");
    return new LossyProxy(child);
  }

  /** What it has let through and dropped so far: towards the server, and back. */
  async counts(): Promise<{ readonly forth: Passage; readonly back: Passage }> {
    const answer = once(this.#child, "message");
    this.#child.send("counts");
    const [counts] = await answer;
    return counts;
  }
}
