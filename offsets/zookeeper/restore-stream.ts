import type { HistoryEntry, StreamSnapshot } from '../../src/core/offset-store.ts'
import type { Random } from '../../src/core/random.ts'
import { checkRestore } from '../../src/core/store-rules.ts'
import { writeJson } from '../../src/core/store-values.ts'
import { comparePartitions } from '../../src/core/values.ts'
import { HeadMovedError, INLINE_CHARACTERS, partsOf } from './blobs.ts'
import { birthOf, ensureFolders, foldersOf } from './create-stream.ts'
import { createChunk, isChunkful } from './history-log.ts'
import { OperationStream } from './operation-stream.ts'
import { removeGeneration } from './remove-all.ts'
import type { Session } from './session.ts'
import { type GenerationPaths, generationOf, type Layout, type StreamPaths } from './stream-paths.ts'
import { headOf, type StreamRecord } from './stream-record.ts'
import type { StreamView } from './stream-view.ts'
import { sweep } from './sweep.ts'

/** Where a restore writes, and how it looks whether there is a stream already. */
export type RestoreTarget = {
  readonly layout: Layout
  readonly paths: StreamPaths
  readonly random: Random
  readonly read: (session: Session) => Promise<StreamView | undefined>
}

/**
 * Writes a whole stream as a generation that nothing points to, and in the end makes the head that does. What a restore leaves behind that was stopped
 * on the way is swept by the next holder of the stream. `nonce` is the restore's own, however often it is tried.
 */
export async function restoreStream(session: Session, target: RestoreTarget, snapshot: StreamSnapshot, nonce: string): Promise<void> {
  const { layout, paths, random } = target
  for (;;) {
    const view = await target.read(session)
    if (view?.record.nonce === nonce) return
    checkRestore(view && headOf(view.record), snapshot.stream)
    await ensureFolders(session, layout, paths)

    const generation = random.id()
    const inside = generationOf(paths, generation)
    const record = await fill(session, inside, { snapshot, nonce, generation }).catch(error => {
      if (error instanceof HeadMovedError) return undefined
      throw error
    })
    const isBorn = record !== undefined && (await session.multi([{ do: 'remove', path: inside.building }, ...birthOf(paths, record)])).done
    if (isBorn) {
      // The stream is there whatever becomes of this: it is for what this restore left when it lost its connection.
      await sweep(session, paths, generation).catch(() => {})
      return
    }
    await session.multi([{ do: 'remove', path: inside.building }])
    await removeGeneration(session, inside)
  }
}

/** Throws `HeadMovedError` where somebody cleared the generation away meanwhile: there is a stream of this name now. */
async function fill(
  session: Session,
  inside: GenerationPaths,
  of: { readonly snapshot: StreamSnapshot; readonly nonce: string; readonly generation: string },
): Promise<StreamRecord> {
  const { stream, streamId, epoch, lastBatchId, lastCommittedId, pending, history } = of.snapshot
  const writing = new OperationStream(session)
  const keep = async <T extends object>(name: string, value: T) => {
    const json = writeJson(value)
    if (json.length <= INLINE_CHARACTERS) return value
    const { ref, operations } = partsOf(inside, name, json)
    for (const operation of operations) await writing.add(operation)
    return ref
  }

  const [folder, ...folders] = foldersOf(inside)
  for (const operation of [folder, { do: 'create', path: inside.building, data: Buffer.alloc(0) } as const, ...folders]) {
    if (operation !== undefined) await writing.add(operation)
  }
  const offsets = await keep('offsets', [...of.snapshot.offsets].sort(comparePartitions))
  const begun = pending === null ? null : await keep('batch', { batch: pending })
  await fillHistory(writing, inside, history)
  await writing.end()

  const lastSeq = history.at(-1)?.seq ?? 0
  const ids = { streamId, epoch, lastBatchId, lastCommittedId, lastSeq, tailFrom: lastSeq + 1, trimmedBelow: 0 }
  const { nonce, generation } = of
  return { v: 1, stream, nonce, generation, ...ids, lease: null, retired: null, offsets, pending: begun }
}

async function fillHistory(writing: OperationStream, inside: GenerationPaths, history: readonly HistoryEntry[]): Promise<void> {
  let texts: string[] = []
  let first = 0
  for (const [place, { seq, kind, at, epoch, ...rest }] of history.entries()) {
    const json = writeJson(rest)
    if (texts.length === 0) first = seq
    if (json.length <= INLINE_CHARACTERS) {
      texts.push(writeJson({ seq, kind, at, epoch, ...rest }))
    } else {
      const { ref, operations } = partsOf(inside, `entry-${seq}`, json)
      for (const operation of operations) await writing.add(operation)
      texts.push(writeJson({ seq, kind, at, epoch, body: ref }))
    }
    if (!isChunkful(texts) && place < history.length - 1) continue
    await writing.add(createChunk(inside, { first, last: seq, isKept: false }, texts))
    texts = []
  }
}
