import { expect, test } from 'vitest'
import { play } from './play.ts'

test('backfill-beside-live kills its backfill, goes on with it beside the live stream, and has every order once in the table', async () => {
  const { code, stdout, stderr } = await play('backfill-beside-live')
  expect(stderr).toMatch(/orders~backfill-1: orders from the first record there is to where the live stream began, 30,000 offsets/)
  expect(stderr).toMatch(/killed with SIGKILL: batch \d+ of the backfill is begun and not committed; the live stream goes on/)
  expect(stderr).toMatch(/It was begun before: [\d,]+ are done, and it goes on with [\d,]+\./)
  expect(stdout).toBe('backfill-beside-live: 30000 orders of the past, 5000 live ones, 35000 rows in the table, 35000 different ids\n')
  expect(code).toBe(0)
})
