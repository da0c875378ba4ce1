import type { CallOptions } from '../../src/core/source.ts'
import { HeadMovedError } from './blobs.ts'
import { MissingNodes } from './missing-nodes.ts'
import type { Session } from './session.ts'
import type { StreamNode } from './stream-node.ts'
import type { StreamView } from './stream-view.ts'

/** Reads a head and what it points to, again from the head where a writer took some of that away in between. */
export async function readConsistently<T>(
  session: Session,
  node: StreamNode,
  options: CallOptions,
  use: (view: StreamView | undefined) => Promise<T>,
): Promise<T> {
  for (const missing = new MissingNodes(); ; ) {
    options.signal?.throwIfAborted()
    const view = await node.read(session)
    try {
      return await use(view)
    } catch (error) {
      if (!(error instanceof HeadMovedError) || view === undefined) throw error
      missing.tell(view, error.path)
    }
  }
}
