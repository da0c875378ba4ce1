import { readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { systemRandom } from '../../src/core/random.ts'
import { diskErrorCode, onDisk } from './disk-error.ts'
import { attemptEpoch, attemptsFolder } from './layout.ts'

/** What is taken away while it may still be renamed by its attempt: the first rename wins. */
const TAKEN_AWAY = /^gone-/

/** Takes away what attempts of epochs before this one have aside: behind a marker that says so, none of them can put anything in place any more. */
export async function removeAttemptsBefore(directory: string, epoch: number): Promise<void> {
  const folder = attemptsFolder(directory)
  for (const { name, parentPath } of await onDisk('list', folder, () => readdir(folder, { withFileTypes: true }))) {
    const path = join(parentPath, name)
    const isOlder = (attemptEpoch(name) ?? epoch) < epoch
    if (!isOlder && !TAKEN_AWAY.test(name)) continue
    // A folder is not removed in one step: its attempt could put half of it in place. Renamed, it is out of its reach.
    const taken = isOlder ? join(folder, `gone-${systemRandom.id()}`) : path
    if (isOlder && !(await takeAway(path, taken))) continue
    await onDisk('remove', taken, () => rm(taken, { recursive: true, force: true }))
  }
}

/** False where it is gone already: its attempt was first, or has ended. */
async function takeAway(path: string, taken: string): Promise<boolean> {
  return onDisk('remove', path, async () => {
    try {
      await rename(path, taken)
      return true
    } catch (error) {
      if (diskErrorCode(error) === 'ENOENT') return false
      throw error
    }
  })
}
