import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { LocalRuns } from '../../../connectors/bullmq/host/local-runs.ts'
import { silentLog } from '../../../src/core/log.ts'
import { inProcess } from '../../../src/executors/in-process.ts'
import { collectingSink, ManualClock, memorySource } from '../../../src/testing/index.ts'

const key = { stream: 'orders', streamId: 'one', outputs: ['collect'] }

function openRuns(clock = new ManualClock()) {
  const lives: string[] = []
  const source = Object.assign(memorySource(), { close: async () => void lives.push('source closed') })
  const sink = Object.assign(collectingSink(), {
    open: async () => void lives.push('sink opened'),
    close: async () => void lives.push('sink closed'),
  })
  const outputs = new Map([['collect', { name: 'collect', source, stages: [], sink }]])
  const door = { name: 'orders', runnable: () => ({ stream: 'orders', outputs }) }
  return { clock, lives, runs: new LocalRuns(door, inProcess(), { log: silentLog, clock }) }
}

test('a run that no pack comes for is closed with its connections, and opened again by the next pack', async () => {
  const { clock, lives, runs } = openRuns()
  await runs.use(key, new AbortController().signal, async () => {})
  await clock.advance(599_999)
  await runs.use(key, new AbortController().signal, async () => {})
  await clock.advance(599_999)
  expect(lives).toEqual(['sink opened'])
  await clock.advance(1)
  await expect.poll(() => lives).toEqual(['sink opened', 'source closed', 'sink closed'])
  await runs.use(key, new AbortController().signal, async () => {})
  await runs.close()
  expect(lives).toEqual(['sink opened', 'source closed', 'sink closed', 'sink opened', 'source closed', 'sink closed'])
})

test('a run is not closed under a pack that comes in the very turn in which its time is over', async () => {
  const over = Promise.withResolvers<void>()
  const { lives, runs } = openRuns(Object.assign(new ManualClock(), { sleep: () => over.promise }))
  await runs.use(key, new AbortController().signal, async () => {})
  over.resolve()
  await runs.use(key, new AbortController().signal, async () => {
    // Were it closed by that, it would be by now.
    await setImmediate()
    expect(lives).toEqual(['sink opened'])
  })
  await runs.close()
})
