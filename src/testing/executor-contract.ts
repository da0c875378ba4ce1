import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import type { Executor, ExecutorRun } from '../core/executor.ts'
import { silentLog } from '../core/log.ts'
import { systemRandom } from '../core/random.ts'
import { defineAbortTests } from './executor/aborts.ts'
import { defineClosedOnceTest, defineClosingTests } from './executor/closing.ts'
import type { ContractWorld, DefineTest, ExecutorFault, ExecutorFaults } from './executor/contract.ts'
import { CONTRACT_JOB, contractDoor } from './executor/contract-job.ts'
import { readLedger } from './executor/contract-sinks.ts'
import { defineDeadWorkerTests } from './executor/dead-workers.ts'
import { defineDrainTests } from './executor/draining.ts'
import { defineDuplicateTests } from './executor/duplicates.ts'
import { defineEpochTests } from './executor/epochs.ts'
import { defineErrorTests } from './executor/errors.ts'
import { defineGatheredRowTests, defineUnsendableRowTests } from './executor/gathered-rows.ts'
import { defineKilledWorkerTests } from './executor/killed-workers.ts'
import { contractEnvironment, folderOf, makeFolder, openGate, readNotes } from './executor/notes.ts'
import { definePausedWorkerTests } from './executor/paused-workers.ts'
import { defineProgressTests } from './executor/progress.ts'
import { defineResultTests } from './executor/results.ts'
import { defineRunTests } from './executor/runs.ts'
import { defineSeveralOutputTests } from './executor/several-outputs.ts'

/** What the contract's job needs where its tasks run. */
export type ContractJob = {
  /** The URL of the module that exports the job, by default: what threads and other processes import. */
  readonly module: string
  readonly name: string
  /** What processes that run its tasks must find in their environment. Threads and children of this process inherit it. */
  readonly environment: Readonly<Record<string, string>>
}

/** An executor as the contract wants it opened, once a test. */
export type OpenedExecutor = {
  readonly executor: Executor
  /** Another over the same workers, as another driver has it. @default the same */
  readonly another?: () => Promise<Executor>
  /** Called last, when the contract has closed its runs: ends in good order what `open` started. */
  readonly close: () => Promise<void>
  readonly faults?: ExecutorFaults
}

export type ExecutorContractOptions = {
  /** Your runner's own; those of vitest, jest, mocha and `node:test` fit. One test waits five seconds, and those of faults for what lapses: give each a minute. */
  readonly describe: (title: string, body: () => void) => unknown
  readonly test: (title: string, body: () => Promise<void>) => unknown
  /**
   * Opens an executor with at least two slots, and where `fault` is named with two workers that others replace or that outlive it: it is what the test
   * will use of `faults`. Workers that other tests have used will do, except for a fault.
   */
  readonly open: (job: ContractJob, fault: ExecutorFault | undefined) => Promise<OpenedExecutor>
  /** Whether tasks run in threads or processes of their own. They may die without the driver, and are replaced; rows are copied on their way. @default false */
  readonly hasWorkers?: boolean
  /** Whether workers end or refuse attempts of an older epoch when they see a newer one of the stream. @default false */
  readonly endsOlderEpochs?: boolean
  /** Whether `onProgress` is told to whoever gives the group; an executor that watches its workers itself may keep it there. @default true */
  readonly tellsProgress?: boolean
  /** Which faults `open` can make; the tests of a fault are defined where it is named. @default none */
  readonly faults?: readonly ExecutorFault[]
}

/**
 * Every rule that an executor must keep, each as a test, with a job that notes what it does in files: tasks may run in other threads and processes of
 * this machine.
 *
 *     import { describe, test } from 'vitest'
 *     import { executorContract } from 'tidemark/testing'
 *
 *     executorContract({
 *       describe,
 *       test: (title, body) => test(title, { timeout: 60_000 }, body),
 *       open: async () => ({ executor: myExecutor(), close: async () => {} }),
 *       hasWorkers: true,
 *     })
 */
export function executorContract(options: ExecutorContractOptions): void {
  const { describe, hasWorkers = false, endsOlderEpochs = false, tellsProgress = true, faults = [] } = options
  const define = defineWith(options)
  describe('results', () => defineResultTests(define))
  describe('several outputs', () => defineSeveralOutputTests(define))
  describe('gathered rows', () => defineGatheredRowTests(define))
  describe('errors', () => defineErrorTests(define))
  describe('aborts and deadlines', () => defineAbortTests(define))
  if (tellsProgress) describe('progress', () => defineProgressTests(define))
  describe('duplicate delivery', () => defineDuplicateTests(define))
  describe('runs side by side', () => defineRunTests(define))
  if (hasWorkers) {
    describe('rows that cannot be sent', () => defineUnsendableRowTests(define))
    describe('workers that die', () => defineDeadWorkerTests(define))
  }
  describe('closing', () => {
    defineClosingTests(define)
    if (hasWorkers) defineClosedOnceTest(define)
  })
  if (endsOlderEpochs) describe('older epochs', () => defineEpochTests(define))
  if (faults.includes('kill')) describe('workers that are killed', () => defineKilledWorkerTests(defineWith(options, 'kill')))
  if (faults.includes('pause')) describe('workers that are paused', () => definePausedWorkerTests(defineWith(options, 'pause')))
  if (faults.includes('drain')) describe('workers that are drained', () => defineDrainTests(defineWith(options, 'drain')))
}

/** A test opens the executor anew and ends all that it started, also where it fails. */
function defineWith({ test, open }: ExecutorContractOptions, fault?: ExecutorFault): DefineTest {
  return (title, body) =>
    void test(title, async () => {
      const stream = `contract-${systemRandom.id()}`
      const folders = new Map([[stream, makeFolder(stream)]])
      const job = contractDoor.runnable({ stream })
      const {
        executor,
        another = async () => executor,
        close,
        faults,
      } = await open({ module: job.origin?.module ?? '', name: CONTRACT_JOB, environment: contractEnvironment() }, fault)
      const over = new AbortController()
      const runs: ExecutorRun[] = []
      const given = new Set<Promise<unknown>>()
      const start: ContractWorld['start'] = async (by, { stream: name = stream, outputs } = {}) => {
        if (!folders.has(name)) folders.set(name, makeFolder(name))
        const own = contractDoor.runnable({ stream: name, ...(outputs && { outputs }) })
        const run = await by.start(own, { streamId: `id of ${name}`, log: silentLog, signal: over.signal })
        runs.push(run)
        return run
      }
      let ended: Promise<void> | undefined
      const end = () => {
        ended ??= (async () => {
          await Promise.allSettled(given)
          for (const run of runs) await run.close()
          await close()
        })()
        return ended
      }
      try {
        const run = await start(executor)
        const give: ContractWorld['give'] = (group, options = {}, to = run) => {
          const signal = options.signal === undefined ? over.signal : AbortSignal.any([options.signal, over.signal])
          const call = to.run(group, { ...options, signal })
          call.catch(() => {})
          given.add(call)
          return call
        }
        await body({
          ...{ executor, another, stream, run, job, start, give, end, faults: declared(faults) },
          notes: (name = stream) => readNotes(folderOf(name)),
          ledger: (name = stream) => readLedger(folderOf(name)),
          openGate: worker => openGate(folderOf(stream), worker),
        })
      } finally {
        over.abort(new Error('the test is over'))
        await end()
        for (const folder of folders.values()) rmSync(folder, { recursive: true, force: true })
      }
    })
}

/** Turns a fault that was declared and not given into a test that fails by name. */
function declared(faults: ExecutorFaults = {}): Required<ExecutorFaults> {
  const missing = (name: ExecutorFault) => async () => assert.fail(`the fault ${name} is declared, and open() gives none of that name`)
  return { kill: faults.kill ?? missing('kill'), pause: faults.pause ?? missing('pause'), drain: faults.drain ?? missing('drain') }
}
