import { isTable } from "./schema.ts";
import type { SessionTable, TunnelTable } from "./tables.ts";

/** The keys that a file gives, those of templates where they are used: "lcce.listen", "tunnel.paris.retransmit.max". */
export function keysGiven(lcce: object, tunnels: readonly TunnelTable[]): ReadonlySet<string> {
  return new Set([
    ...keysOf(lcce, "lcce."),
    ...tunnels.flatMap((tunnel) => [tunnel, ...tunnel.sessions]).flatMap(keysOfTable),
  ]);
}

function keysOfTable({ path, layers }: TunnelTable | SessionTable): readonly string[] {
  return layers.flatMap(({ given }) => keysOf(given, `${path.join(".")}.`));
}

function keysOf(table: object, path: string): readonly string[] {
  return Object.entries(table).flatMap(([key, value]) =>
    isTable(value) ? keysOf(value, `${path}${key}.`) : [`${path}${key}`],
  );
}
