import { errorMessage, retryAfterOf } from '../core/errors.ts'
import type { Listener } from '../core/events.ts'
import type { Log } from '../core/log.ts'

/** A listener that writes the log: one line a batch, and one for every change of the stream. */
export function logEvents(log: Log): Listener {
  return event => {
    const { stream } = event
    switch (event.type) {
      case 'streamStarted': {
        const { epoch, guarantee, outputs, pendingBatchId } = event
        log.info({ stream, epoch, guarantee, outputs, pendingBatchId }, 'stream started')
        return
      }
      case 'standingBy':
        log.info({ stream }, `standing by: ${event.reason}`)
        return
      case 'partitionsStarted':
        log.info({ stream, offsets: event.offsets.map(at => `${at.topic}/${at.partition}@${at.offset}`) }, 'starting points written')
        return
      case 'batchCompleted': {
        const { id, isReplay, numRecords, numBytes, numDeadLetters, lag, schedulingDelay, processingDelay, totalDelay, ranges } =
          event.batch
        const fields = {
          stream,
          batch: id,
          replay: isReplay || undefined,
          ranges: ranges.length,
          records: numRecords,
          bytes: numBytes,
          deadLetters: numDeadLetters || undefined,
          lag,
        }
        log.info({ ...fields, schedulingDelay, processingDelay, totalDelay }, 'batch completed')
        return
      }
      case 'batchFailed':
        log.error({ stream, batch: event.batch.id, err: event.error }, `batch ${event.batch.id} failed: ${errorMessage(event.error)}`)
        return
      case 'dataLoss':
        log.warn({ stream, cause: event.cause, missing: event.missing, batch: event.batchId }, `data loss, going on: ${event.message}`)
        return
      case 'recordsSkipped': {
        const { batchId, output, count, samples } = event
        log.warn({ stream, batch: batchId, output, count, samples }, `${count} records skipped, the first: ${samples[0]?.message}`)
        return
      }
      case 'jobChanged':
        log.info({ stream }, event.message)
        return
      case 'taskEnded':
        // One that is not tried again fails its batch, and that is told next; a service that is away is told once, and not by each task that finds it so.
        if (event.task.willRetry && retryAfterOf(event.task.error) === undefined) {
          const { task, error } = event.task
          log.warn({ stream, batch: task.batchId, task: task.index, err: error }, `task failed and is tried again: ${errorMessage(error)}`)
        }
        return
      case 'error':
        log[event.fatal ? 'error' : 'warn']({ stream, code: event.error.code, err: event.error }, event.error.message)
        return
      case 'health':
        if (event.status === 'red') log.warn({ stream }, `health is red: ${event.reason}`)
        else log.info({ stream }, 'health is green')
        return
      case 'streamStopped':
        log.info({ stream, reason: event.reason }, 'stream stopped')
        return
      case 'batchSubmitted':
      case 'batchStarted':
      case 'outputOperationStarted':
      case 'outputOperationCompleted':
        return
      default:
        event satisfies never
    }
  }
}
