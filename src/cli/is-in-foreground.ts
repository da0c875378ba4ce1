import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/**
 * Whether this process may read and set the terminal that it has: it stops where it tries to and the terminal is another job's, as with `command &` in a
 * shell and after Ctrl-Z and `bg`. True where nobody can say.
 */
export function isInForeground(): boolean {
  const groups = readProc() ?? askPs()
  return groups === undefined || groups.own === groups.foreground
}

type Groups = { readonly own: string | undefined; readonly foreground: string | undefined }

/** Linux: `pid (name) state ppid pgrp session tty tpgid …`; the name may hold anything. */
function readProc(): Groups | undefined {
  try {
    const text = readFileSync('/proc/self/stat', 'utf8')
    const [, , own, , , foreground] = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return { own, foreground }
  } catch {
    return undefined
  }
}

function askPs(): Groups | undefined {
  const { status, stdout } = spawnSync('ps', ['-o', 'pgid=,tpgid=', '-p', String(process.pid)], { encoding: 'utf8' })
  if (status !== 0) return undefined
  const [own, foreground] = stdout.trim().split(/\s+/)
  return { own, foreground }
}
