// A real Kafka topic goes through driver, offset ranges, executor, sink and committed offsets. Midway the driver is killed with SIGKILL and
// started again; at the end every id is checked against the files.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { styleText } from 'node:util'
import { sqliteOffsets } from 'tidemark/offsets/sqlite'
import { startKafka } from '../../test/support/cluster/start-kafka.ts'
import { checkFiles } from './check-files.ts'
import { produceOrders } from './produce-orders.ts'

const ORDERS = Number(process.env.DEMO_RECORDS ?? 1_000_000)
const STREAM = 'demo-orders'
const LOOK_EVERY_MS = 5

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = join(root, '.tidemark', 'demo')
const offsetsPath = join(folder, 'offsets.db')

await main()

async function main(): Promise<void> {
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })

  say('starting Kafka')
  await using kafka = await startKafka()
  say(`Kafka: ${kafka.origin}`)
  const topic = `demo-orders-${Date.now()}`
  say(`producing ${show(ORDERS)} orders into ${topic}: 4 partitions, JSON, lz4`)
  const startedAt = performance.now()
  await produceOrders(kafka.brokers, topic, ORDERS, sent => redraw(`  ${show(sent)} produced`))
  endRedraw()
  say(`produced in ${seconds(startedAt)}`)

  const environment = { DEMO_BROKERS: kafka.brokers.join(','), DEMO_TOPIC: topic, DEMO_DIRECTORY: folder }
  say('running the job: tidemark run examples/demo/orders.ts --until latest')
  const readAt = performance.now()
  const first = startDriver(environment)
  const killed = await killMidway(first)
  say(
    `killed the driver (pid ${first.pid}) with SIGKILL: batch ${killed.batchId} is begun and not committed, ${show(killed.committed)} offsets are committed`,
  )

  say('running the job again, as if nothing had happened')
  const second = startDriver(environment)
  const [code] = await once(second, 'exit')
  if (code !== 0) throw new Error(`The second run ended with exit code ${code}; what it printed says why.`)
  say(`the job read it all in ${seconds(readAt)}, the crash included`)

  const { batches, records } = await readHistory()
  say(`checking every id against the files in ${join('.tidemark', 'demo', 'orders')} (${batches} batches committed, each once)`)
  const { rows, lost, duplicated } = await checkFiles(join(folder, 'orders'), ORDERS)
  process.exitCode = records === ORDERS && rows === ORDERS && lost === 0 && duplicated === 0 ? 0 : 1
  await kafka.close()
  process.stdout.write(`demo: ${records} records read, ${rows} rows written, ${lost} lost, ${duplicated} duplicated\n`)
}

/** The driver in a process of its own, by the command a user would type. */
function startDriver(environment: Readonly<Record<string, string>>): ChildProcess {
  const job = join(root, 'examples', 'demo', 'orders.ts')
  return spawn(process.execPath, [join(root, 'bin', 'tidemark.js'), 'run', job, '--until', 'latest', '--progress'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...environment },
  })
}

/** Watches the store, like anybody can, and kills the driver inside a batch when half is committed. */
async function killMidway(driver: ChildProcess): Promise<{ batchId: number; committed: number }> {
  const store = sqliteOffsets({ path: offsetsPath })
  try {
    while (true) {
      if (driver.exitCode !== null)
        throw new Error(`The first run ended by itself with exit code ${driver.exitCode}; what it printed says why.`)
      const { offsets, pending } = await store.read(STREAM)
      const committed = offsets.reduce((sum, { offset }) => sum + offset, 0)
      if (pending !== undefined && committed >= ORDERS / 2) {
        // Held still for a second look, since the batch may have been committed meanwhile.
        driver.kill('SIGSTOP')
        const held = await store.read(STREAM)
        if (held.pending !== undefined) {
          driver.kill('SIGKILL')
          await once(driver, 'exit')
          return { batchId: held.pending.id, committed }
        }
        driver.kill('SIGCONT')
      }
      await sleep(LOOK_EVERY_MS)
    }
  } finally {
    await store.close()
  }
}

/** What the store's history says was read. */
async function readHistory(): Promise<{ batches: number; records: number }> {
  const store = sqliteOffsets({ path: offsetsPath })
  try {
    const batches = (await Array.fromAsync(store.history(STREAM))).filter(entry => entry.kind === 'batch')
    const ranges = batches.flatMap(({ batch }) => batch.ranges)
    return { batches: batches.length, records: ranges.reduce((sum, { fromOffset, untilOffset }) => sum + untilOffset - fromOffset, 0) }
  } finally {
    await store.close()
  }
}

function say(line: string): void {
  process.stderr.write(`${styleText('cyan', 'demo', { stream: process.stderr })} ${line}\n`)
}

/** A line that changes, on a terminal; elsewhere it would only be noise. */
function redraw(line: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r${line}`)
}

function endRedraw(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[2K')
}

function show(count: number): string {
  return count.toLocaleString('en-US')
}

function seconds(since: number): string {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`
}
