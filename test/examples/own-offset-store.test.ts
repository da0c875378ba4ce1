import { expect, test } from 'vitest'
import { play } from './play.ts'

test('own-offset-store passes the contract of offset stores, and carries a job through a kill', async () => {
  const { code, stdout, stderr } = await play('own-offset-store')
  expect(stderr).toMatch(/killed with SIGKILL: batch \d+ is begun and not committed/)
  const [, rules] = /^own-offset-store: (\d+) rules kept, 20000 events, 20000 rows, each once\n$/.exec(stdout) ?? []
  expect(Number(rules)).toBeGreaterThan(50)
  expect(code).toBe(0)
})
