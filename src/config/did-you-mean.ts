/** `, did you mean "peer"?` where a candidate is close enough to be a slip of the fingers, else nothing. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const closest = closestTo(word, candidates);
  return closest === undefined ? "" : `, did you mean "${closest}"?`;
}

function closestTo(word: string, candidates: Iterable<string>): string | undefined {
  // One slip per three letters; a longer distance suggests words that merely have the same length.
  let limit = Math.max(1, Math.floor(word.length / 3));
  let closest: string | undefined;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance <= limit && distance < candidate.length) {
      closest = candidate;
      limit = distance - 1;
    }
  }
  return closest;
}

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
export function editDistance(from: string, to: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const replaced = cell(previous, column - 1) + (from[row - 1] === to[column - 1] ? 0 : 1);
      let best = Math.min(replaced, cell(previous, column) + 1, cell(current, column - 1) + 1);
      if (from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]) {
        best = Math.min(best, cell(beforePrevious, column - 2) + 1);
      }
      current.push(best);
    }
    beforePrevious = previous;
    previous = current;
  }
  return cell(previous, to.length);
}

function cell(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY;
}
