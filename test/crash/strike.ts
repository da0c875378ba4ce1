import { writeSync } from 'node:fs'
import fs from 'node:fs/promises'
import { flushCompileCache, syncBuiltinESMExports } from 'node:module'

/**
 * Where a job's own process ends, stops or hangs, as `STRIKE` says it: `kill before begin 2` is SIGKILL just before the second call of `begin`,
 * `stop after commit 1` is SIGSTOP just after the first commit, `hang` waits there for ever. Nothing of this is known to what is tested: the job
 * wraps its store and its sink.
 */
const [action, moment, call, nth] = (process.env.STRIKE ?? '').split(' ')
let seen = 0

/** Ends, stops or hangs this process if this is the moment that `STRIKE` names. */
export async function strike(now: 'before' | 'after', name: string): Promise<void> {
  if (now !== moment || name !== call) return
  seen += 1
  if (seen !== Number(nth)) return
  say(`struck ${now} ${name}\n`)
  if (action === 'hang') await new Promise(() => setInterval(() => {}, 60_000))
  process.kill(process.pid, action === 'stop' ? 'SIGSTOP' : 'SIGKILL')
}

/** The same where nothing can wait: in the middle of a write to a socket. It cannot hang. */
export function strikeNow(now: 'before' | 'after', name: string): void {
  if (now !== moment || name !== call) return
  seen += 1
  if (seen !== Number(nth)) return
  say(`struck ${now} ${name}\n`)
  process.kill(process.pid, action === 'stop' ? 'SIGSTOP' : 'SIGKILL')
}

function say(line: string): void {
  // By itself a process writes what it has compiled when it exits, and one that is killed leaves the next to compile all of it again.
  flushCompileCache()
  writeSync(2, line)
}

/** `target` with a place to strike before and after the call that `STRIKE` names, which must be one that gives a promise. */
export function withStrikes<T extends object>(target: T): T {
  return new Proxy(target, {
    get(object, name) {
      const value: unknown = Reflect.get(object, name, object)
      if (typeof value !== 'function') return value
      // The same output for a run under another name.
      if (name === 'forStream') return (...args: unknown[]) => withStrikes(value.apply(object, args))
      // With its own `this`: private fields are not the proxy's.
      if (name !== call) return value.bind(object)
      return async (...args: unknown[]) => {
        await strike('before', name)
        const result: unknown = await value.apply(object, args)
        await strike('after', name)
        return result
      }
    },
  })
}

/** What a files output puts in place, by its path: a range's file, the parts of a task, a rolled file, and what the driver keeps of them. */
const IN_PLACE: readonly (readonly [name: string, path: RegExp])[] = [
  ['rename', /\.jsonl$/],
  ['parts', /[\\/]parts[\\/]b\d+[\\/]t\d+$/],
  ['rolling', /[\\/]rolling\.json$/],
  ['rolled', /\.parquet$/],
  ['manifest', /[\\/]manifest[\\/]\d+\.json$/],
]
const PARTS = /[\\/]parts[\\/]b\d+/

/** Also before and after a file is put in place, and before and after parts go: inside a sink's calls there is nothing to wrap. */
export function strikeAtRename(): void {
  const { rename, rm } = fs
  const around = async (name: string | undefined, work: () => Promise<void>) => {
    if (name !== undefined) await strike('before', name)
    await work()
    if (name !== undefined) await strike('after', name)
  }
  fs.rename = (from, to) => around(IN_PLACE.find(([, path]) => path.test(String(to)))?.[0], () => rename(from, to))
  fs.rm = (path, options) => around(PARTS.test(String(path)) ? 'clean' : undefined, () => rm(path, options))
  syncBuiltinESMExports()
}
