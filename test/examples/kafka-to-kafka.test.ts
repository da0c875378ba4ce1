import { expect, test } from 'vitest'
import { play } from './play.ts'

test('kafka-to-kafka kills its driver, replays the batch, and has every click once in the other topic', async () => {
  const { code, stdout, stderr } = await play('kafka-to-kafka')
  expect(stderr).toMatch(/killed with SIGKILL: batch \d+ is begun and not committed/)
  expect(stderr).toMatch(/enrich: replaying batch \d+, begun .* and not committed/)
  expect(stdout).toBe('kafka-to-kafka: 40000 clicks, 36000 rows in the other topic, 36000 different ids, in the order of their keys\n')
  expect(code).toBe(0)
})
