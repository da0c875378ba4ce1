import { expect, test } from 'vitest'
import { play } from './play.ts'

test('kafka-to-parquet kills its driver, replays the batch, and DuckDB finds every order once, in the folder of its day', async () => {
  const { code, stdout, stderr } = await play('kafka-to-parquet')
  expect(stderr).toMatch(/killed with SIGKILL: batch \d+ is begun and not committed/)
  expect(stderr).toMatch(/orders: replaying batch \d+, begun .* and not committed/)
  expect(stdout).toMatch(/^kafka-to-parquet: 50000 orders, 50000 rows in \d+ files of 3 days\n$/)
  expect(code).toBe(0)
})
