import { isTidemarkError } from '../../src/core/errors.ts'
import type { Lease } from '../../src/core/offset-store.ts'
import type { Random } from '../../src/core/random.ts'
import type { CallOptions } from '../../src/core/source.ts'
import { checkAcquire, checkLive, type StreamHead } from '../../src/core/store-rules.ts'
import { Slots } from '../../src/util/slots.ts'
import { untilAborted } from '../../src/util/until-aborted.ts'
import { HeadMovedError, removeStaged } from './blobs.ts'
import { creationOf, ensureFolders } from './create-stream.ts'
import { removeTrimmed } from './history-log.ts'
import { MissingNodes } from './missing-nodes.ts'
import { type Change, prepareSwing } from './prepare-swing.ts'
import { removeGeneration } from './remove-all.ts'
import type { ServerClock } from './server-clock.ts'
import type { Session } from './session.ts'
import { generationOf, type Layout, pathsOf, type StreamPaths } from './stream-paths.ts'
import { headOf, newRecord, parseRecord } from './stream-record.ts'
import { StreamView } from './stream-view.ts'
import { sweep } from './sweep.ts'
import type { ZookeeperConnection } from './zookeeper-connection.ts'

/** What all streams of a store share. */
export type StoreContext = {
  readonly connection: ZookeeperConnection
  readonly layout: Layout
  readonly serverClock: ServerClock
  readonly random: Random
  readonly historyEntries: number
}

const EMPTY = Buffer.alloc(0)

/**
 * One stream, written by compare-and-set: look at the head, decide, and one `multi` that goes through only if the head is still of that version.
 *
 * The first decision of a call is made on the head as this client left it, so that a begin and a commit are one request each. It is only a guess that
 * the version proves: whatever it leads to but a write (a refusal, nothing to do) is decided again on the head that the server has now.
 */
export class StreamNode {
  readonly #paths: StreamPaths
  readonly #context: StoreContext
  readonly #turns = new Slots(1)
  #guess: StreamView | undefined

  constructor(stream: string, context: StoreContext) {
    this.#paths = pathsOf(context.layout, stream)
    this.#context = context
  }

  get paths(): StreamPaths {
    return this.#paths
  }

  /**
   * The stream as it is now, not as a follower has it: what is read after a write of the same session is no older than that write. The client has no
   * `sync`; a transaction that only checks is one that a quorum has agreed on, which a `sync` answered by a leader that was just deposed is not.
   */
  async read(session: Session): Promise<StreamView | undefined> {
    const [, view] = await Promise.all([session.multi([{ do: 'check', path: this.#paths.data }]), this.#get(session)])
    return view
  }

  /** Grants the lease, making the stream where there is none. */
  async acquire(asked: Omit<Lease, 'epoch' | 'streamId'> & { readonly steal: boolean }, options: CallOptions): Promise<Lease> {
    const { random, layout } = this.#context
    const { stream, owner, ttlMs, steal } = asked
    const [nonce, newStreamId] = [random.id(), random.id()]
    return this.#inTurn(options, async session => {
      for (const missing = new MissingNodes(); ; ) {
        options.signal?.throwIfAborted()
        const { view, nowMs } = await this.#look(session)
        const grant = (epoch: number): Lease => ({ stream, owner, ttlMs, epoch, streamId: view?.record.streamId ?? newStreamId })
        if (view?.record.nonce === nonce) return this.#granted(session, view, grant(view.record.epoch))
        if (view === undefined) {
          const lease = grant(checkAcquire(undefined, { stream, owner, nowMs: 0, steal }))
          const record = newRecord(lease, nonce, random.id())
          const creation = creationOf(this.#paths, record)
          const answer = await session.multi(creation.operations)
          if (answer.done) return this.#granted(session, creation.view, lease)
          if (answer.refusal === 'NO_NODE') await ensureFolders(session, layout, this.#paths)
          continue
        }
        // The lease's node is read after the clock's was written, and written with the version read: a renewal in between has this look again.
        const node = await session.get(view.paths.lease)
        if (node === undefined || nowMs === undefined) {
          missing.tell(view, node === undefined ? view.paths.lease : this.#paths.data)
          continue
        }
        const lease = grant(checkAcquire(headOf(view.record, node.mtimeMs), { stream, owner, nowMs, steal }))
        const change: Change = { record: { epoch: lease.epoch, lease: { owner, ttlMs } }, renewal: { version: node.version } }
        const next = await this.#swing(session, view, change, nonce)
        if (next !== undefined) return this.#granted(session, next, lease)
      }
    })
  }

  /** One write under a lease. `decide` says what it does, undefined being nothing, or throws the refusal. */
  write(
    lease: Lease,
    action: string,
    options: CallOptions,
    decide: (head: StreamHead, view: StreamView, session: Session) => Change | undefined | Promise<Change | undefined>,
  ): Promise<void> {
    const nonce = this.#context.random.id()
    return this.#inTurn(options, async (session, isAgain) => {
      let guess = isAgain ? undefined : this.#guess
      for (const missing = new MissingNodes(); ; guess = undefined) {
        options.signal?.throwIfAborted()
        this.#guess = undefined
        const view = guess ?? (await this.#look(session)).view
        try {
          if (view?.record.nonce === nonce) return this.#remember(view)
          const head = checkLive(view && headOf(view.record), lease, action)
          // `checkLive` has thrown where there is none.
          if (view === undefined) continue
          const change = await decide(head, view, session)
          if (change === undefined && guess === undefined) return this.#remember(view)
          if (change === undefined) continue
          const next = await this.#swing(session, view, change, nonce)
          if (next === undefined) continue
          this.#remember(next)
          if (next.record.trimmedBelow > view.record.trimmedBelow) await this.#removeTrimmed(session, next)
          return
        } catch (error) {
          if (error instanceof HeadMovedError && view !== undefined) missing.tell(view, error.path)
          else if (guess === undefined || isTidemarkError(error, 'CONNECTION')) throw error
        }
      }
    })
  }

  /** The head and the lease's node go in one step, and with them the right of whoever knew them to write. */
  remove(lease: Lease, action: string, options: CallOptions): Promise<void> {
    return this.#inTurn(options, async (session, isAgain) => {
      this.#guess = undefined
      for (;;) {
        options.signal?.throwIfAborted()
        const { view } = await this.#look(session)
        // What was sent before the connection was lost may be why the stream is no longer there, or another one is.
        if (isAgain && view?.record.streamId !== lease.streamId) return
        checkLive(view && headOf(view.record), lease, action)
        if (view === undefined) continue
        const { paths, version } = view
        const answer = await session.multi([
          { do: 'remove', path: this.#paths.head, version },
          { do: 'remove', path: paths.lease },
        ])
        if (!answer.done) continue
        // The stream is gone whatever becomes of this; whoever makes one of this name again sweeps what is left.
        await removeGeneration(session, paths).catch(() => {})
        return
      }
    })
  }

  forget(): void {
    this.#guess = undefined
  }

  #remember(view: StreamView): void {
    this.#guess = view
  }

  async #granted(session: Session, view: StreamView, lease: Lease): Promise<Lease> {
    this.#remember(view)
    // The lease is granted whatever becomes of this; the next holder sweeps again.
    await sweep(session, this.#paths, view.record.generation).catch(() => {})
    return lease
  }

  /** What stays behind is hidden by the head already, and goes with the next trimming. */
  async #removeTrimmed(session: Session, view: StreamView): Promise<void> {
    await removeTrimmed(session, view.paths, view.record.trimmedBelow).catch(() => {})
  }

  /** The head as it is now, and the server's time, undefined where no stream of this name ever was. */
  async #look(session: Session): Promise<{ readonly view: StreamView | undefined; readonly nowMs: number | undefined }> {
    const [touched, view] = await Promise.all([session.multi([{ do: 'set', path: this.#paths.data, data: EMPTY }]), this.#get(session)])
    const nowMs = touched.done ? touched.mtimeMs : undefined
    if (nowMs !== undefined) this.#context.serverClock.observe(nowMs)
    return { view, nowMs }
  }

  async #get(session: Session): Promise<StreamView | undefined> {
    const node = await session.get(this.#paths.head)
    if (node === undefined) return undefined
    const record = parseRecord(node.data, this.#paths.head)
    return new StreamView(record, node.version, generationOf(this.#paths, record.generation))
  }

  /** Undefined where the head was no longer of the version of `view`. */
  async #swing(session: Session, view: StreamView, change: Change, nonce: string): Promise<StreamView | undefined> {
    const { random, historyEntries, serverClock } = this.#context
    const swing = await prepareSwing(session, this.#paths, view, change, { nonce, id: random.id(), historyEntries })
    const answer = await session.multi(swing.operations)
    if (answer.done) {
      if (answer.mtimeMs !== undefined) serverClock.observe(answer.mtimeMs)
      return swing.next
    }
    for (const name of swing.staged) await removeStaged(session, view.paths, name)
    return undefined
  }

  async #inTurn<T>(options: CallOptions, run: (session: Session, isAgain: boolean) => Promise<T>): Promise<T> {
    options.signal?.throwIfAborted()
    const turn = this.#turns.use(async () => this.#context.connection.attempt(options, run))
    return options.signal === undefined ? turn : untilAborted(turn, options.signal)
  }
}
