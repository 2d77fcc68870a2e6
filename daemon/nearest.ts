// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The word that was probably meant, for errors about a name that is not known. Tested in config.test.ts.
 *
 * @module
 */

/** Further off than this share of its length a word is another word, not a mistyped one. */
const FARTHEST = 0.5;
/** Longer words than any of ours are compared with nothing: the work grows with the square. */
const LONGEST = 40;

/** The candidate nearest to `word`, if it is near at all. Case and the kind of separator do not count. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  if (word.length > LONGEST) return undefined;
  const ranked = candidates
    .map((candidate) => ({ candidate, far: distance(plain(word), plain(candidate)) / Math.max(word.length, candidate.length) }))
    .sort((a, b) => a.far - b.far);
  const [best] = ranked;
  return best && best.far <= FARTHEST ? best.candidate : undefined;
}

function plain(word: string): string {
  return word.toLowerCase().replace(/[-_ ]/g, "");
}

/** Levenshtein's: insertions, deletions and replacements of a letter. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [index, letter] of [...a].entries()) {
    const next = [index + 1];
    for (let column = 1; column <= b.length; column++) {
      const replaced = row[column - 1]! + (letter === b[column - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[column]! + 1, next[column - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
