import { ConfigError } from '../../src/core/errors.ts'
import type { StreamView } from './stream-view.ts'

/** How often one node may be missing under one version of a head before that means damage. */
const MISSING_TIMES = 3

/** Tells a head that moved on from one that was damaged: the same version still names a node that is not there. */
export class MissingNodes {
  #last = ''
  #times = 0

  /** Throws `ConfigError` once it is damage. */
  tell(view: StreamView, path: string): void {
    const now = `${view.version} ${path}`
    this.#times = now === this.#last ? this.#times + 1 : 1
    this.#last = now
    if (this.#times < MISSING_TIMES) return
    throw new ConfigError(
      `${path} of stream ${view.record.stream} is gone from ZooKeeper, and nothing of Tidemark removed it. Restore the stream from an export, or remove it.`,
      { details: { stream: view.record.stream, path } },
    )
  }
}
