import { expect, test } from 'vitest'
import { play } from './play.ts'

test('kafka-to-postgres kills its driver, replays the batch, and has every order once in the table', async () => {
  const { code, stdout, stderr } = await play('kafka-to-postgres')
  expect(stderr).toMatch(/killed with SIGKILL: batch \d+ is begun and not committed/)
  expect(stderr).toMatch(/orders: replaying batch \d+, begun .* and not committed/)
  expect(stdout).toBe('kafka-to-postgres: 50000 orders, 50000 rows in the table, 50000 different ids\n')
  expect(code).toBe(0)
})
