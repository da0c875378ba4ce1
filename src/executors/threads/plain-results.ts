import type { WireResult } from '../../core/task-wire.ts'

/** Numbers of a result that has nothing else. */
const NUMBERS = 6

/**
 * Results that are numbers only, of many groups, in one array: a group's id and how many tasks it has, then six numbers each. As lists of lists their copy
 * from thread to thread costs more than a small task; most results are of this kind.
 */
export class PlainResults {
  #numbers: number[] = []

  /** Adds a group's results; false where they say more than numbers can. */
  add(id: number, results: readonly WireResult[]): boolean {
    if (results.some(result => result.length > NUMBERS)) return false
    this.#numbers.push(id, results.length)
    for (const [applied, records, rows, bytes, startTime, endTime] of results) {
      this.#numbers.push(applied, records, rows, bytes, startTime, endTime)
    }
    return true
  }

  /** Takes what was added; undefined where nothing was. */
  take(): Float64Array | undefined {
    if (this.#numbers.length === 0) return undefined
    const taken = Float64Array.from(this.#numbers)
    this.#numbers = []
    return taken
  }
}

/** Calls `onGroup` for each group, in the order they were added. */
export function readPlain(numbers: Float64Array, onGroup: (id: number, results: readonly WireResult[]) => void): void {
  for (let at = 0; at < numbers.length; ) {
    const id = numbers[at] as number
    const end = at + 2 + (numbers[at + 1] as number) * NUMBERS
    const results: WireResult[] = []
    for (at += 2; at < end; at += NUMBERS) results.push(resultAt(numbers, at))
    onGroup(id, results)
  }
}

function resultAt(numbers: Float64Array, at: number): WireResult {
  const number = (place: number) => numbers[at + place] as number
  return [number(0) === 1 ? 1 : 0, number(1), number(2), number(3), number(4), number(5)]
}
