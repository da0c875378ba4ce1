import { systemClock } from '../../../src/core/clock.ts'

/** Waits before try number `tries` (from 0): from 20 ms, doubling up to a second, with chance in it. Rejects with the signal's reason. */
export async function backOff(tries: number, signal: AbortSignal): Promise<void> {
  await systemClock.sleep(Math.min(20 * 2 ** tries, 1_000) * (0.5 + Math.random() / 2), signal)
}
