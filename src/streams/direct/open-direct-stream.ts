import { systemClock } from '../../core/clock.ts'
import { systemRandom } from '../../core/random.ts'
import type { CallOptions } from '../../core/source.ts'
import type { World } from '../../driver/driver-job.ts'
import { EventBus } from '../../driver/event-bus.ts'
import { Health } from '../../driver/health.ts'
import { acquireLease } from '../../driver/lease-keeper.ts'
import { logEvents } from '../../driver/log-events.ts'
import { defaultLog } from '../default-log.ts'
import { completeDirectOptions } from '../options.ts'
import type { DirectStream, DirectStreamOptions } from './direct-stream.ts'
import { LeasedStream } from './leased-stream.ts'

/**
 * Opens a stream for an engine with a scheduler and tasks of its own. Resolves when it holds the lease; while another owner's lives, it stands by.
 *
 *     await using direct = await openDirectStream({ name: 'orders', source, offsets })
 *     const batch = await direct.next()
 *     if (batch !== undefined) {
 *       await engine.run(batch.ranges, range => source.read(range, { signal: direct.signal, isolation: batch.isolation }))
 *       await direct.commit(batch)
 *     }
 *
 * @throws ConfigError for wrong options, and what the store or the source say when they are first asked
 */
export async function openDirectStream<Row>(
  options: DirectStreamOptions<Row>,
  { signal, ...world }: Partial<World> & CallOptions = {},
): Promise<DirectStream> {
  const { source, offsets, steal, until, listeners, log = defaultLog(), name, driver } = completeDirectOptions(options)
  const complete = { clock: systemClock, random: systemRandom, ...world }
  const bus = new EventBus(name, complete.clock, log, [logEvents(log), ...listeners])
  const health = new Health(bus)
  const { owner, leaseTtlMs } = driver
  const lease = await acquireLease(offsets, { stream: name, owner, ttlMs: leaseTtlMs, steal }, complete, {
    signal: signal ?? new AbortController().signal,
    onHeld: error => bus.emit({ type: 'standingBy', reason: error.message }),
    onTrouble: error => health.trouble(error),
  })
  const { name: sourceName = 'source', isolation = 'read_uncommitted', startingOffsets = { at: 'earliest' } } = source
  const direct = new LeasedStream(
    { name: sourceName, source, isolation, startingOffsets },
    { offsets, lease, driver, bus, health, log, world: complete },
  )
  try {
    await direct.open(until, signal)
    return direct
  } catch (error) {
    await direct.close()
    throw error
  }
}
