// A real Kafka topic goes through driver, offset ranges, executor, sink and committed offsets. Midway the driver is killed with SIGKILL and
// started again; at the end every id is checked against the files.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { styleText } from 'node:util'
import { isTidemarkError } from 'tidemark'
import { sqliteOffsets } from 'tidemark/offsets/sqlite'
import { startKafka } from '../../test/support/cluster/start-kafka.ts'
import { checkFiles } from './check-files.ts'
import { deleteTopic, produceOrders } from './produce-orders.ts'

const ORDERS = readCount(process.env.DEMO_RECORDS ?? '1000000')
/** Batches enough for half of them to be committed when the kill comes, whatever the count. */
const BATCH_RECORDS = Math.max(1, Math.ceil(ORDERS / 20))
const STREAM = 'demo-orders'
const LOOK_EVERY_MS = 5

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = join(root, '.tidemark', 'demo')
const offsetsPath = join(folder, 'offsets.db')

/** What must not outlive the demo, newest last. */
const cleanUps: (() => unknown)[] = []

let isStopping = false
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (isStopping) process.exit(130)
    isStopping = true
    endRedraw()
    say('stopping')
    cleanUp().finally(() => process.exit(130))
  })
}

try {
  await main()
} catch (error) {
  // While it stops, what fails is what was taken away.
  if (isStopping) await new Promise(() => {})
  endRedraw()
  process.stderr.write(`${styleText('red', 'demo:', { stream: process.stderr })} ${explain(error)}\n`)
  process.exitCode = isTidemarkError(error, 'CONFIG') ? 2 : 1
} finally {
  await cleanUp()
}
// What failed may have left connections open.
process.exit()

async function main(): Promise<void> {
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })

  say('starting Kafka')
  const starting = startKafka()
  cleanUps.push(() => starting.then(started => started.close()).catch(() => {}))
  const kafka = await starting
  say(`Kafka is there: ${kafka.origin}`)

  const topic = `${STREAM}-${Date.now()}`
  say(`producing ${show(ORDERS)} orders into ${topic}: 4 partitions, JSON with keys and headers, lz4`)
  const producedAt = performance.now()
  // A Kafka of somebody else's is left as it was found; our own goes with all that is in it.
  if (process.env.KAFKA_BROKERS) cleanUps.push(() => deleteTopic(kafka.brokers, topic))
  await produceOrders(kafka.brokers, topic, ORDERS, sent => redraw(`  ${show(sent)} produced`))
  endRedraw()
  say(`produced in ${seconds(producedAt)}`)

  const environment = {
    DEMO_BROKERS: kafka.brokers.join(','),
    DEMO_TOPIC: topic,
    DEMO_DIRECTORY: folder,
    DEMO_BATCH_RECORDS: String(BATCH_RECORDS),
  }
  say('running the job: tidemark run examples/demo/orders.ts --until latest')
  const readAt = performance.now()
  const first = startDriver(environment)
  const killed = await killMidway(first)
  endRedraw()
  say(
    `killed the driver (pid ${first.pid}) with SIGKILL: ${show(killed.committed)} offsets are committed, batch ${killed.batchId} is begun and is not`,
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
  // First, so that nothing comes after the last line.
  await cleanUp()
  process.stdout.write(`demo: ${records} records read, ${rows} rows written, ${lost} lost, ${duplicated} duplicated\n`)
}

/** The driver in a process of its own, by the command a user would type. */
function startDriver(environment: Readonly<Record<string, string>>): ChildProcess {
  const job = join(root, 'examples', 'demo', 'orders.ts')
  const driver = spawn(process.execPath, [join(root, 'bin', 'tidemark.js'), 'run', job, '--until', 'latest', '--progress'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...environment },
  })
  cleanUps.push(() => driver.kill('SIGKILL'))
  return driver
}

async function cleanUp(): Promise<void> {
  for (let step = cleanUps.pop(); step !== undefined; step = cleanUps.pop()) {
    try {
      await step()
    } catch (error) {
      say(`cleaning up: ${explain(error)}`)
    }
  }
}

/** Watches the store, like anybody can, and kills the driver inside a batch when half is committed. */
async function killMidway(driver: ChildProcess): Promise<{ batchId: number; committed: number }> {
  const store = sqliteOffsets({ path: offsetsPath })
  try {
    while (true) {
      if (driver.exitCode !== null || driver.signalCode !== null) {
        const how = driver.exitCode === null ? `by ${driver.signalCode}` : `with exit code ${driver.exitCode}`
        throw new Error(`The first run ended ${how} before it could be killed; what it printed says why.`)
      }
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

function readCount(text: string): number {
  const count = Number(text)
  if (Number.isInteger(count) && count >= 1000) return count
  process.stderr.write(`demo: DEMO_RECORDS is ${text}; it must be a whole number from 1000.\n`)
  process.exit(2)
}

/** What people can act on; the stack only of what is our own mistake. */
function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return isTidemarkError(error) || process.env.TIDEMARK_DEBUG === undefined ? error.message : (error.stack ?? error.message)
}

function say(line: string): void {
  process.stderr.write(`${styleText('cyan', 'demo', { stream: process.stderr })} ${line}\n`)
}

/** A line that changes, on a terminal; elsewhere it would only be noise. */
function redraw(line: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[2K${line}`)
}

/** Takes away a line that was being drawn, also one of a driver that was killed while it drew. */
function endRedraw(): void {
  redraw('')
}

function show(count: number): string {
  return count.toLocaleString('en-US')
}

function seconds(since: number): string {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`
}
