import { DIALECTS, type Dialect, type DialectChoice } from "../control/dialects.ts";
import { type BuiltTunnel, placeOf } from "./contradictions.ts";
import type { Problems } from "./problems.ts";

/** What a peer of the configured dialect could not cope with. With "auto" nobody knows beforehand. */
export function checkDialects(built: readonly BuiltTunnel[], hostname: string, problems: Problems): void {
  for (const each of built) {
    const limits = limitsOf(each.tunnel.dialect ?? "auto");
    if (limits !== undefined) checkLimits(each, limits, hostname, problems);
  }
}

function limitsOf(choice: DialectChoice): Dialect["limits"] {
  return choice === "auto" ? undefined : DIALECTS[choice].limits;
}

function checkLimits(
  { table, tunnel, sessions }: BuiltTunnel,
  { hostNameLength, endIdLength, encapsulation }: NonNullable<Dialect["limits"]>,
  hostname: string,
  problems: Problems,
): void {
  const by = `dialect "${tunnel.dialect}"`;
  if (hostname.length > hostNameLength) {
    const text = `${by} takes host names of at most ${hostNameLength} characters, and lcce.hostname has ${hostname.length}`;
    problems.error(placeOf(table, "dialect"), text);
  }
  if (tunnel.encapsulation !== encapsulation && !table.wrong.has("encapsulation")) {
    problems.error(placeOf(table, "encapsulation"), `${by} knows encapsulation "${encapsulation}" only`);
  }
  for (const {
    table: session,
    session: { remoteEndId },
  } of sessions) {
    if (remoteEndId.length <= endIdLength) continue;
    const text = `${by} takes at most ${endIdLength} octets, this has ${remoteEndId.length}`;
    problems.error(placeOf(session, "remote_end_id"), text);
  }
}
