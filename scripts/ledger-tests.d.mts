import type { CollectedTest } from "./ledger-rules.mjs";

export function collectTests(root: string, files: readonly string[]): Promise<readonly CollectedTest[]>;
