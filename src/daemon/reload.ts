import { ConfigError } from "../config/config-error.ts";
import { loadSite } from "../config/load.ts";
import type { Site } from "../config/site.ts";
import type { Log } from "./log.ts";
import { type PlannedChange, planOf } from "./plan.ts";

/** What has become of a configuration file that was read again. Names of keys and places in the file, never a secret. */
export interface ReloadReport {
  /** Nothing was to be changed: this is what a reload would do. */
  readonly dryRun: boolean;
  /** Why nothing was changed: the file cannot be used. */
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
  /** A line for each thing that is not as it was. */
  readonly changes: readonly PlannedChange[];
}

/** The configuration in force, and its renewal from the file. */
export class Reloader {
  readonly #path: string;
  readonly #follow: (before: Site, after: Site) => void;
  readonly #log: Log;
  #site: Site;

  /** `site`: what the file at `path` said at the start. `follow` makes the daemon what another one says. */
  constructor(site: Site, path: string, follow: (before: Site, after: Site) => void, log: Log) {
    this.#site = site;
    this.#path = path;
    this.#follow = follow;
    this.#log = log;
  }

  /** The configuration in force. */
  get site(): Site {
    return this.#site;
  }

  /** What a reload would do now. Changes nothing, and writes no log. */
  plan(): ReloadReport {
    return { ...this.#read().report, dryRun: true };
  }

  reload(): ReloadReport {
    const { report, fresh } = this.#read();
    this.#write(report);
    if (fresh === undefined) return report;
    const before = this.#site;
    this.#site = inForce(before, fresh, report.changes);
    this.#follow(before, this.#site);
    return report;
  }

  #read(): { readonly report: ReloadReport; readonly fresh?: Site } {
    try {
      const fresh = loadSite(this.#path);
      const changes = planOf(this.#site, fresh);
      return { report: { dryRun: false, problems: [], warnings: fresh.warnings, changes }, fresh };
    } catch (error) {
      // Anything else is a bug, which must not end the daemon, and of which nobody knows what its text quotes.
      const problems =
        error instanceof ConfigError ? error.message.split("\n") : ["the file cannot be read: internal error"];
      return { report: { dryRun: false, problems, warnings: [], changes: [] } };
    }
  }

  #write({ problems, warnings, changes }: ReloadReport): void {
    for (const message of problems) this.#log.write({ level: "error", event: "configuration-wrong", message });
    for (const message of warnings) this.#log.write({ level: "warn", event: "configuration-warning", message });
    for (const { text: message, action, tunnel, session } of changes) {
      const place = { ...(tunnel === undefined ? {} : { tunnel }), ...(session === undefined ? {} : { session }) };
      if (action === "restart") {
        this.#log.write({ level: "warn", event: "configuration-needs-restart", message, ...place });
      } else this.#log.write({ level: "info", event: "configuration-applied", message, ...place });
    }
    if (problems.length + warnings.length + changes.length > 0) return;
    this.#log.write({ level: "info", event: "configuration-unchanged", message: "nothing has changed" });
  }
}

/** What needs a restart stays as it was, and the file that it is from is remembered, so that it is told again. */
function inForce(before: Site, fresh: Site, changes: readonly PlannedChange[]): Site {
  const { logLevel, listen } = fresh.lcce;
  const kept = changes.flatMap(({ path, keys, action }) =>
    action === "restart" ? keys.map((key) => `${path}.${key}`) : [],
  );
  const given = new Set([
    ...[...fresh.given].filter((key) => !kept.includes(key)),
    ...kept.filter((key) => before.given.has(key)),
  ]);
  return { ...fresh, lcce: { ...before.lcce, logLevel, listen }, given };
}
