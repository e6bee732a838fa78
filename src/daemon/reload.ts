import { ConfigError } from "../config/config-error.ts";
import { loadSite } from "../config/load.ts";
import type { Site } from "../config/site.ts";
import { sameManner } from "../control/authentication.ts";
import type { AuthenticationConfiguration, TunnelConfiguration } from "../control/configuration.ts";
import type { Input } from "../control/core.ts";
import type { Log } from "./log.ts";
import { differences, restartKeys } from "./site-differences.ts";

/** What has become of a configuration file that was read again. Names of keys and places in the file, never a secret. */
export interface ReloadReport {
  /** Why nothing was changed: the file cannot be used. */
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
  /** In force now: "tunnel.paris: secret, digest". */
  readonly applied: readonly string[];
  /** Differs from what is in force, and stays so until the daemon is started again: "tunnel.paris.hello_interval". */
  readonly restart: readonly string[];
}

/** The configuration in force, and its renewal from the file. What can be changed while tunnels are up is authentication. */
export class Reloader {
  readonly #path: string;
  readonly #accept: (input: Input) => void;
  readonly #log: Log;
  #site: Site;

  /** `site`: what the file at `path` said at the start. */
  constructor(site: Site, path: string, accept: (input: Input) => void, log: Log) {
    this.#site = site;
    this.#path = path;
    this.#accept = accept;
    this.#log = log;
  }

  reload(): ReloadReport {
    const report = this.#renew();
    const say = (level: "info" | "warn" | "error", event: string, lines: readonly string[], prefix = "") => {
      for (const line of lines) this.#log.write({ level, event, message: `${prefix}${line}` });
    };
    say("error", "configuration-wrong", report.problems);
    say("warn", "configuration-warning", report.warnings);
    say("info", "configuration-applied", report.applied, "applied: ");
    say("warn", "configuration-needs-restart", report.restart, "needs a restart: ");
    if (Object.values(report).every(({ length }) => length === 0)) {
      this.#log.write({ level: "info", event: "configuration-unchanged", message: "nothing has changed" });
    }
    return report;
  }

  #renew(): ReloadReport {
    let fresh: Site;
    try {
      fresh = loadSite(this.#path);
    } catch (error) {
      // Anything else is a bug, which must not end the daemon, and of which nobody knows what its text quotes.
      const problems =
        error instanceof ConfigError ? error.message.split("\n") : ["the file cannot be read: internal error"];
      return { problems, warnings: [], applied: [], restart: [] };
    }
    const applied: string[] = [];
    const tunnels = this.#site.tunnels.map((tunnel) => {
      const renewed = fresh.tunnels.find(({ name }) => name === tunnel.name);
      return renewed === undefined || !samePeer(tunnel, renewed)
        ? tunnel
        : this.#change(tunnel, renewed.authentication, applied);
    });
    // What is applied is in force from another file than the rest.
    const given = applied.length === 0 ? this.#site.given : new Set([...this.#site.given, ...fresh.given]);
    this.#site = { ...this.#site, tunnels, given };
    return { problems: [], warnings: fresh.warnings, applied, restart: restartKeys(this.#site, fresh) };
  }

  #change(
    tunnel: TunnelConfiguration,
    authentication: AuthenticationConfiguration,
    applied: string[],
  ): TunnelConfiguration {
    const { name } = tunnel;
    const keys = differences(tunnel.authentication, authentication);
    if (keys.length === 0) return tunnel;
    this.#accept({ type: "authentication-changed", tunnel: name, authentication });
    const from = sameManner(tunnel.authentication, authentication) ? "" : " (from its next control connection on)";
    applied.push(`tunnel.${name}: ${keys.join(", ")}${from}`);
    return { ...tunnel, authentication };
  }
}

/** What makes it another tunnel: the new secret is for that, and the old one still for the peer that we have. */
const WHOSE = ["peer", "peerHostname", "peerRouterId", "encapsulation", "netns"] as const;

function samePeer(one: TunnelConfiguration, other: TunnelConfiguration): boolean {
  // Nobody is authenticated where nothing is negotiated.
  return modeOf(one) === modeOf(other) && WHOSE.every((key) => one[key] === other[key]);
}

function modeOf(tunnel: TunnelConfiguration): boolean | undefined {
  return tunnel.static?.watched;
}
