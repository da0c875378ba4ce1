import { HeadMovedError, PART_BYTES } from './blobs.ts'
import type { MultiAnswer, Operation } from './operations.ts'
import type { Session } from './session.ts'

const MOST_STEPS = 500
const AT_A_TIME = 8

/** Any number of steps in their order, in transactions of a size that ZooKeeper takes, several of them on their way at a time. */
export class OperationStream {
  readonly #session: Session
  #steps: Operation[] = []
  #bytes = 0
  #sent: Promise<MultiAnswer>[] = []

  constructor(session: Session) {
    this.#session = session
  }

  /** Throws `HeadMovedError` where a step before it was refused. */
  async add(operation: Operation): Promise<void> {
    const bytes = operation.path.length + ('data' in operation ? operation.data.length : 0)
    if (this.#steps.length === MOST_STEPS || (this.#steps.length > 0 && this.#bytes + bytes > PART_BYTES)) await this.#send()
    this.#steps.push(operation)
    this.#bytes += bytes
  }

  /** Resolves when all of it is done. */
  async end(): Promise<void> {
    if (this.#steps.length > 0) await this.#send()
    await this.#answers()
  }

  async #send(): Promise<void> {
    const sent = this.#session.multi(this.#steps)
    // It is awaited with the others, later: until then its failure is nobody's.
    sent.catch(() => {})
    this.#sent.push(sent)
    this.#steps = []
    this.#bytes = 0
    if (this.#sent.length === AT_A_TIME) await this.#answers()
  }

  async #answers(): Promise<void> {
    const answers = await Promise.all(this.#sent)
    this.#sent = []
    for (const answer of answers) {
      if (!answer.done) throw new HeadMovedError(answer.path)
    }
  }
}
