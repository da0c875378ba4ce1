import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import type { Batch, OffsetStore } from 'tidemark'

const LOOK_EVERY_MS = 2

/**
 * Watches a stream's store, as anybody can, and kills its driver with SIGKILL when some batches are committed and another is begun. Gives the
 * batch that is begun.
 *
 * @throws Error where the driver ends before
 */
export async function killInsideBatch(
  driver: ChildProcess,
  store: OffsetStore,
  stream: string,
  { afterBatches = 2 }: { readonly afterBatches?: number } = {},
): Promise<Batch> {
  const exited = once(driver, 'exit')
  while (driver.exitCode === null && driver.signalCode === null) {
    const { pending } = await store.read(stream)
    if (pending !== undefined && pending.id > afterBatches) {
      // Held still for a second look, since the batch may have been committed meanwhile.
      driver.kill('SIGSTOP')
      const held = await store.read(stream)
      if (held.pending !== undefined) {
        driver.kill('SIGKILL')
        await exited
        return held.pending
      }
      driver.kill('SIGCONT')
    }
    await delay(LOOK_EVERY_MS)
  }
  throw new Error('The driver ended before it could be killed inside a batch; what it printed says why.')
}
