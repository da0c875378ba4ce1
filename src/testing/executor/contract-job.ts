import { JOB_BRAND } from '../../core/brands.ts'
import type { JobDoor } from '../../core/job-door.ts'
import type { RangeContext, RunnableJob, RunnableOutput, Stage } from '../../core/runnable-job.ts'
import type { MemoryRecord } from '../memory-log.ts'
import { LedgerSink, NotingSink } from './contract-sinks.ts'
import { ContractSource } from './contract-source.ts'
import { folderOf, here } from './notes.ts'
import { richRow } from './rich-rows.ts'

/** The name of the contract's job. */
export const CONTRACT_JOB = 'tidemark-executor-contract'

/** An output's rows are the records' offsets. */
const toOffset: Stage = {
  label: 'map (toOffset)',
  kind: 'map',
  concurrency: 1,
  apply: ({ topic, offset }: MemoryRecord) => {
    if (topic === 'fails-in-map' && offset === 3) throw new TypeError('no offset for this one')
    return offset
  },
}

const odd: Stage = { label: 'filter (odd)', kind: 'filter', concurrency: 1, apply: (offset: number) => offset % 2 === 1 }

/** What is gathered says where it was made, or is of every kind that rows can be of. */
const toGathered: Stage = {
  label: 'map (toGathered)',
  kind: 'map',
  concurrency: 1,
  apply: (record: MemoryRecord) => {
    if (record.topic === 'functions') return { offset: record.offset, show: () => 'no data' }
    return record.topic === 'rich' ? richRow(record) : { offset: record.offset, ...here }
  },
}

const whole: Stage = {
  label: 'mapRange (whole)',
  kind: 'mapRange',
  apply: async function* (rows: AsyncIterable<readonly never[]>, { batchId, batchTime, epoch, index, range, stream }: RangeContext) {
    let records = 0
    for await (const array of rows) records += array.length
    yield [{ records, batchId, batchTime, epoch, index, range, stream }]
  },
}

/** The job as an executor has it: made anew for each run, and writing into the folder of the stream that the run is of. */
function runnable({
  stream = CONTRACT_JOB,
  outputs,
}: {
  readonly stream?: string
  readonly outputs?: readonly string[]
} = {}): RunnableJob {
  const folder = folderOf(stream)
  const source = new ContractSource(folder)
  const noting = (name: string, stages: readonly Stage[]) => ({ name, source, stages, sink: new NotingSink(name, folder) })
  const all: RunnableOutput[] = [
    noting('rows', [toOffset]),
    noting('odd', [toOffset, odd]),
    noting('whole', [whole]),
    { name: 'ledger', source, stages: [toOffset], sink: new LedgerSink('ledger', folder) },
    { ...noting('letters', []), isDeadLetters: true },
    { ...noting('gathered', [toGathered]), gatherMaxRows: 1_000 },
  ]
  return {
    stream,
    origin: { name: CONTRACT_JOB, module: import.meta.url, shape: 'contract', targets: ['source contract', 'outputs contract'] },
    outputs: new Map(all.filter(({ name }) => outputs?.includes(name) ?? true).map(output => [output.name, output])),
  }
}

/** How the contract has the job in its own thread. */
export const contractDoor: JobDoor = { name: CONTRACT_JOB, runnable }

/**
 * The job that the executor contract gives to executors. It is deterministic, like every job, and what it does besides (throw, exit, wait) is asked
 * for by the names of its topics. Its outputs note what reaches them in files.
 */
export default Object.defineProperty({ name: CONTRACT_JOB }, JOB_BRAND, { value: contractDoor })
