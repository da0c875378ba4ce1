import { expect, test } from 'vitest'
import { play } from './play.ts'

test('ranges-in-a-thread-pool shares ranges among threads, runs those of a failed one again, and counts exactly', async () => {
  const { code, stdout, stderr } = await play('ranges-in-a-thread-pool')
  expect(stderr).toMatch(/^batch 1: 0 \[0, 5000\), 0 \[5000, 10000\), 1 \[0, 5000\), 1 \[5000, 10000\)$/m)
  expect(stdout).toMatch(/^ranges-in-a-thread-pool: 40000 lines counted exactly, \d+ and \d+ ranges in two threads, [12] run again\n$/)
  expect(code).toBe(0)
})
