import type { Datapath, SessionCounters } from "./datapath.ts";

/** Accepts everything and makes nothing: control plane only. */
export class NoneDatapath implements Datapath {
  readonly name = "none";
  readonly readsSocket = false;

  prepare(): void {}

  async createTunnel(): Promise<void> {}

  async deleteTunnel(): Promise<void> {}

  async createSession(): Promise<void> {}

  async raiseSession(): Promise<void> {}

  async lowerSession(): Promise<void> {}

  async changeSession(): Promise<void> {}

  async deleteSession(): Promise<void> {}

  async counters(): Promise<readonly SessionCounters[]> {
    return [];
  }

  responds(): boolean {
    return true;
  }

  async close(): Promise<void> {}
}
