import type { Site } from "../config/site.ts";
import { same } from "../control/same.ts";
import type { Hooks } from "./hooks.ts";
import { followListen, provideModulesFor } from "./listen.ts";
import type { Listeners } from "./listeners.ts";
import type { OpenedLog } from "./log.ts";
import type { Namespaces } from "./namespaces.ts";
import type { Shell } from "./shell.ts";
import type { Transitions } from "./transitions.ts";
import type { Watches } from "./watches.ts";

/** Everything that was made for a configuration, and can be made for another one. */
export interface Followers {
  readonly log: OpenedLog;
  readonly hooks: Pick<Hooks, "follow">;
  readonly transitions: Pick<Transitions, "review">;
  readonly listeners: Listeners;
  readonly namespaces: Pick<Namespaces, "follow">;
  readonly watches: Pick<Watches, "follow">;
  readonly shell: Pick<Shell, "accept" | "stopping">;
}

/** Makes a running daemon what another configuration says, one configuration after the other. */
export class Following {
  readonly #followers: Followers;
  #last: Promise<void> = Promise.resolve();

  constructor(followers: Followers) {
    this.#followers = followers;
  }

  /** What can be done at once is done when this returns; what has to be waited for goes on behind it. */
  follow(before: Site, after: Site): void {
    const { log, hooks, transitions, listeners, namespaces, watches, shell } = this.#followers;
    log.setLevel(after.lcce.logLevel);
    hooks.follow(after.hooks);
    transitions.review();
    const needed = provideModulesFor([before, after], log).catch(this.#complain);
    // Listeners first: whom a new tunnel calls may call back.
    followListen([before, after], listeners, log);
    if (!same(before.tunnels, after.tunnels)) {
      shell.accept({ type: "configuration-changed", tunnels: after.tunnels });
    }
    watches.follow(after);
    const left = new Promise<void>((resolve) => setImmediate(resolve));
    const turn = async () => {
      await needed;
      // What failed for want of a module is tried again.
      listeners.retry();
      await namespaces.follow(after, left);
    };
    this.#last = this.#last.then(turn).catch(this.#complain);
  }

  readonly #complain = (error: unknown): void => {
    const message = error instanceof Error ? error.message : String(error);
    this.#followers.log.write({ level: "error", event: "configuration-not-followed", message });
  };
}
