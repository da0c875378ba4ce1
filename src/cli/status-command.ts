import type { Command } from 'commander'
import type { Look, SeenExecutor, SeenRun } from '../../connectors/bullmq/index.ts'
import { ConfigError, JobError } from '../core/errors.ts'
import { fingerprintJob } from '../core/job-fingerprint.ts'
import { addExecutorsOption } from './executor-options.ts'
import { connectionOf, findExecutorsUrl } from './executors-url.ts'
import { loadJob } from './load-job.ts'
import { printJson, printTable, showNumber } from './print.ts'

type StatusOptions = { readonly executors?: string; readonly json?: boolean }
/** An executor, with whether it counts for the job as it is here. */
type Listed = SeenExecutor & { readonly state: string }

export function addStatusCommand(program: Command): void {
  const command = program
    .command('status')
    .description('who runs a job: its executors on all machines, and the drivers that give them tasks')
    .argument('<job>', 'the job module, such as orders.ts')
  addExecutorsOption(command)
    .option('--json', 'print them as JSON')
    .addHelpText(
      'after',
      `
It asks that Redis alone: no offset store, no Kafka. An executor whose job is not the one at hand waits, and what differs is said.

Examples:
  tidemark status orders.ts --executors redis://cache:6379
  TIDEMARK_EXECUTORS=rediss://:password@cache:6380 tidemark status orders.ts --json`,
    )
    .action(showStatus)
}

async function showStatus(path: string, { executors: option, json = false }: StatusOptions): Promise<void> {
  const found = findExecutorsUrl(option)
  if (found === undefined) {
    throw new ConfigError('Where do the executors meet? Add --executors redis://host:6379, or set TIDEMARK_EXECUTORS, as for tidemark run.')
  }
  const { lookAtJob, showStanding, standingOf } = await found.load()
  const { internals } = await loadJob(path)
  const { origin } = internals.runnable()
  if (origin === undefined) throw new JobError(`${path} exports a job of another version of tidemark, which executors do not know.`)
  const fingerprint = fingerprintJob(origin)
  const look = await lookAtJob(connectionOf(found), origin.name)
  const executors = look.executors.map(seen => ({ ...seen, state: showStanding(standingOf(seen, fingerprint)) }))
  if (json) return printJson({ job: origin.name, at: look.now, executors: executors.map(executorJson), runs: look.runs.map(runJson) })
  printExecutors(origin.name, executors, look)
  printRuns(look.runs)
}

function executorJson({ info, silentForMs, state }: Listed): object {
  const { id, host, pid, slots, startedAt, tasks } = info
  return { id, host, pid, slots, state, tasks, startedAt, silentForMs }
}

function runJson({ info, silentForMs }: SeenRun): object {
  const { stream, streamId, epoch, batchId, groupsLeft, host, pid, startedAt } = info
  return { stream, streamId, epoch: epoch ?? null, batchId: batchId ?? null, groupsLeft, host, pid, startedAt, silentForMs }
}

function printExecutors(job: string, executors: readonly Listed[], { now }: Look): void {
  if (executors.length === 0) {
    process.stdout.write(`No executor of ${job} is there. Start one: tidemark executor <job> --executors <the same URL>.\n`)
    return
  }
  const rows = executors.map(({ info: { id, slots, tasks, startedAt }, silentForMs, state }) => [
    ...[id, showNumber(slots), showNumber(tasks.running), showNumber(tasks.completed), showNumber(tasks.failed)],
    ...[showAge(silentForMs), showAge(now - startedAt), state],
  ])
  printTable(['executor', 'slots', 'running', 'done', 'failed', 'seen', 'up', 'state'], rows, { align: 'words' })
}

function printRuns(runs: readonly SeenRun[]): void {
  if (runs.length === 0) {
    process.stdout.write('\nNo driver gives out tasks.\n')
    return
  }
  process.stdout.write('\n')
  const rows = runs.map(({ info: { stream, epoch, batchId, groupsLeft, host, pid }, silentForMs }) => [
    ...[stream, showNumber(epoch), showNumber(batchId), showNumber(groupsLeft), `${host}:${pid}`, showAge(silentForMs)],
  ])
  printTable(['driver of', 'epoch', 'batch', 'ranges left', 'host', 'seen'], rows, { align: 'words' })
}

/** `4 s`, `12 min`, `3 h`, `5 d`: how long ago, by clocks that may differ a little. */
function showAge(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000))
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`
  return seconds < 172_800 ? `${Math.floor(seconds / 3_600)} h` : `${Math.floor(seconds / 86_400)} d`
}
