import { expect, test } from 'vitest'
import { play } from './play.ts'

test('replay-a-day runs one day again, over the rows of its keys, and mends what a mistake has left', async () => {
  const { code, stdout, stderr } = await play('replay-a-day')
  expect(stderr).toContain('orders has written 8,640 of these offsets.\n')
  expect(stderr).toContain('Output postgres:orders: its rows are written over the rows of the same id, also over newer ones.\n')
  expect(stdout).toBe('replay-a-day: 8640 orders were wrong, 8640 were run again, 0 are wrong now\n')
  expect(code).toBe(0)
})
