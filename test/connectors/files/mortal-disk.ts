import type * as Disk from 'node:fs/promises'

/** One start of a process, which ends without a word before the so-many-th thing that it would do to the disk. */
export type Life = { callsLeft: number; readonly isOver: Promise<void>; readonly end: () => void }

/** Who is calling; nobody while the test itself looks at the disk. */
let living: Life | undefined
let handles: Disk.FileHandle[] = []

/** What changes the disk; before a call that only reads it is as it was behind the one before. */
const CHANGES = ['mkdir', 'rename', 'rm', 'writeFile'] as const

/** Runs `process` until it is through or was killed before its `calls`-th change of the disk. Says which. */
export async function live(calls: number, process: () => Promise<void>): Promise<'through' | 'killed'> {
  const { promise: isOver, resolve: end } = Promise.withResolvers<void>()
  const life: Life = { callsLeft: calls, isOver, end }
  living = life
  try {
    return await Promise.race([process().then(() => 'through' as const), isOver.then(() => 'killed' as const)])
  } finally {
    living = undefined
    const left = handles
    handles = []
    for (const handle of left) await handle.close().catch(() => {})
  }
}

/** `node:fs/promises` for those who may be killed: from then on no call of theirs comes back, as if they were not there. Nothing is fsynced, to save time. */
export function mortalDisk(real: typeof Disk): typeof Disk {
  const mortal = { ...real, open: ofLife(open) }
  for (const name of CHANGES) Object.assign(mortal, { [name]: ofLife(real[name] as Call, 'changes') })
  return {
    ...mortal,
    access: ofLife(real.access as Call),
    readFile: ofLife(real.readFile as Call),
    readdir: ofLife(real.readdir as Call),
    stat: ofLife(real.stat as Call),
  } as typeof Disk

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
    if (life.callsLeft < 0) return killed(life)
    const result = await call(...args)
    return life.callsLeft < 0 ? killed(life) : result
  }
}

function killed(life: Life): Promise<never> {
  life.end()
  return new Promise(() => {})
}
