import { afterAll, expect, test } from 'vitest'
import { inProcess } from '../../../../src/executors/in-process.ts'
import { threads } from '../../../../src/executors/threads.ts'
import { type Outage, openEndpoint, outlast, told } from './outlast.ts'
import { ALL_ROWS } from './rows.ts'

const endpoint = await openEndpoint()
afterAll(() => endpoint.close())

const EXECUTORS = { 'in one process': () => inProcess(), 'in threads': () => threads({ size: 2 }) }
const CASES = (['answers 503', 'is gone'] satisfies Outage[]).flatMap(outage =>
  (Object.keys(EXECUTORS) as (keyof typeof EXECUTORS)[]).map(where => ({ outage, where })),
)

test.each(CASES)('an endpoint that $outage is waited out with health red, $where, and no batch fails', async ({ outage, where }) => {
  endpoint.received.length = 0
  endpoint.byKey.clear()
  const events = await outlast(endpoint, outage, EXECUTORS[where](), `${outage} ${where}`)
  const { health, failed, errors, batches } = told(events)
  expect(endpoint.rowsByKey.sort()).toEqual(ALL_ROWS)
  expect(health).toEqual([
    [
      'red',
      expect.stringMatching(
        outage === 'is gone' ? /is away: .*(ECONN|closed|hang up)/ : /is away: 503 Service Unavailable: in maintenance\./,
      ),
    ],
    ['green', undefined],
  ])
  expect(batches).toBe(2)
  expect(failed).toMatchObject([{ type: 'streamStopped', reason: 'done' }])
  // Told once, however many tasks found it so; a server that goes down says a few things on its way.
  expect(new Set(errors).size).toBe(errors.length)
  if (outage === 'answers 503') expect(errors).toHaveLength(1)
})
