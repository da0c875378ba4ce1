/** What sets a destination apart from what the Java client reads under read_committed; places are `partition:offset`. */
export type Difference = {
  readonly lost: number
  readonly doubled: number
  /** Of records that Java does not read: aborted ones, say. */
  readonly foreign: number
}

export const NO_DIFFERENCE: Difference = { lost: 0, doubled: 0, foreign: 0 }

export function comparePlaces(written: readonly string[], byJava: readonly string[]): Difference {
  const different = new Set(written)
  const lost = byJava.filter(place => !different.has(place)).length
  return { lost, doubled: written.length - different.size, foreign: different.size + lost - byJava.length }
}
