import type * as Disk from 'node:fs/promises'

/** One start of a process, which comes to a stop before the so-many-th thing that it would do to the disk. */
type Life = { callsLeft: number; readonly stops: () => void; readonly goesOn: Promise<void> }

/** A process that was stopped, as by SIGSTOP; left alone, it was killed. */
export type Stopped = {
  /** Lets it go on, to its end. */
  readonly wake: () => Promise<void>
}

/** Who is calling; nobody while the test itself looks at the disk. */
let living: Life | undefined
/** Kept until the test is over: a file that nobody holds is closed with a warning. */
const handles: Disk.FileHandle[] = []

/** What changes the disk; before a call that only reads it is as it was behind the one before. */
const CHANGES = ['mkdir', 'rename', 'rm', 'writeFile'] as const
const LOOKS = ['access', 'readFile', 'readdir', 'stat'] as const

/** Runs `process` until it is through, or stops before its `calls`-th change of the disk. One runs at a time. */
export async function live(calls: number, process: () => Promise<void>): Promise<'through' | Stopped> {
  const stop = Promise.withResolvers<void>()
  const wake = Promise.withResolvers<void>()
  const life: Life = { callsLeft: calls, stops: stop.resolve, goesOn: wake.promise }
  const end = during(life, process)
  // It may fail long after it was left alone.
  end.catch(() => {})
  return Promise.race([
    end.then(() => 'through' as const),
    stop.promise.then(() => ({
      wake: () => {
        life.callsLeft = Number.POSITIVE_INFINITY
        return during(life, () => {
          wake.resolve()
          return end
        })
      },
    })),
  ]).finally(() => {
    living = undefined
  })
}

async function during(life: Life, run: () => Promise<void>): Promise<void> {
  living = life
  try {
    await run()
  } finally {
    if (living === life) living = undefined
  }
}

/** Closes what processes that were killed had open. */
export async function closeAll(): Promise<void> {
  for (const handle of handles.splice(0)) await handle.close().catch(() => {})
}

/** `node:fs/promises` for those who may be stopped: then no call of theirs comes back before they are woken. Nothing is fsynced, to save time. */
export function mortalDisk(real: typeof Disk): typeof Disk {
  const mortal = { ...real, open: ofLife(open as Call) }
  for (const name of CHANGES) Object.assign(mortal, { [name]: ofLife(real[name] as Call, 'changes') })
  for (const name of LOOKS) Object.assign(mortal, { [name]: ofLife(real[name] as Call) })
  return mortal as typeof Disk

  async function open(...args: Parameters<typeof Disk.open>): Promise<Disk.FileHandle> {
    const handle = await real.open(...args)
    if (living === undefined) return handle
    handles.push(handle)
    return new Proxy(handle, {
      get(target, name) {
        if (name === 'sync') return async () => {}
        const value: unknown = Reflect.get(target, name, target)
        if (typeof value !== 'function') return value
        return ofLife((value as Call).bind(target), name === 'writeFile' ? 'changes' : 'looks')
      },
    })
  }
}

type Call = (...args: never[]) => Promise<unknown>

function ofLife(call: Call, kind: 'changes' | 'looks' = 'looks'): Call {
  return async (...args) => {
    const life = living
    if (life === undefined) return call(...args)
    if (kind === 'changes') life.callsLeft -= 1
    await untilAwake(life)
    const result = await call(...args)
    await untilAwake(life)
    return result
  }
}

async function untilAwake(life: Life): Promise<void> {
  if (life.callsLeft >= 0) return
  life.stops()
  await life.goesOn
}
