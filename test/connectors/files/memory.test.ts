import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { parquetSink } from '../../../connectors/files/index.ts'
import { running, task } from './files-task.ts'
import { temporaryFolder } from './temporary-folder.ts'

setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')
const MIB = 1 << 20

/** What is held outside the heap by something that is still needed. */
function heldBytes(): number {
  collect()
  return process.memoryUsage().arrayBuffers
}

test('a task into many folders holds no more than one into a single file: not the memory of each folder that was full once', async () => {
  const rowGroupBytes = 2 * MIB
  const sink = parquetSink<{ folder: number; text: string }>({
    ...{ directory: temporaryFolder(), columns: { text: 'string' }, rowGroupBytes },
    partitionBy: { folder: 'folder' },
  })
  const before = heldBytes()
  let most = 0
  let written = 0
  async function* rows(): AsyncGenerator<readonly { folder: number; text: string }[]> {
    // Each folder is full once and then left alone, as with times that come in their order.
    for (let folder = 0; folder < 40; folder++) {
      for (let array = 0; array < 12; array++) {
        yield Array.from({ length: 256 }, (_, at) => ({ folder, text: `${folder}-${array}-${at}`.padEnd(1000, 'x') }))
        written += 256 * 1000
      }
      if (folder % 8 === 7) most = Math.max(most, heldBytes() - before)
    }
  }
  await sink.write(task(), rows(), running)
  expect(written).toBeGreaterThan(50 * rowGroupBytes)
  expect(most).toBeLessThan(4 * rowGroupBytes)
})
