/** How many selectors are set, if all that are set agree; else 0. */
export function scoreOf(selectors: readonly (readonly [configured: unknown, agrees: boolean])[]): number {
  const set = selectors.filter(([configured]) => configured !== undefined);
  return set.every(([, agrees]) => agrees) ? set.length : 0;
}
