import type { Random } from '../core/random.ts'

/** Chance that comes out the same for the same seed, so that a failing run can be run again. The generator is mulberry32. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  const number = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const id = (digits = 16) => Array.from({ length: digits }, () => Math.floor(number() * 16).toString(16)).join('')
  return { id, number }
}
