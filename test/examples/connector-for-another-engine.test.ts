import { expect, test } from 'vitest'
import { play } from './play.ts'

test('connector-for-another-engine is killed three times inside of a batch, and its sums are exact', async () => {
  const { code, stdout, stderr } = await play('connector-for-another-engine')
  expect(stderr.match(/killed with SIGKILL: batch \d+ is begun/g)).toHaveLength(3)
  expect(stderr.match(/batch \d+ was begun and not committed: its \d+ ranges once more/g)).toHaveLength(3)
  expect(stdout).toBe('connector-for-another-engine: 30000 payments committed, the sums of 97 customers exact after 3 kills\n')
  expect(code).toBe(0)
})
