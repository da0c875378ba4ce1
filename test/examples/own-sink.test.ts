import { expect, test } from 'vitest'
import { play } from './play.ts'

test('own-sink has each row once after three kills, and refuses an offset store that was rolled back', async () => {
  const { code, stdout, stderr } = await play('own-sink')
  expect(stderr.match(/killed with SIGKILL: batch \d+ is begun and not committed/g)).toHaveLength(3)
  expect(stderr).toMatch(
    /sqlite:readings was written to by epoch 4 of stream readings .* this driver has epoch 2.* the offset store was rolled back/,
  )
  expect(stdout).toBe('own-sink: 30000 readings, 30000 rows, 30000 different ids after 3 kills; a store that was rolled back is refused\n')
  expect(code).toBe(0)
})
