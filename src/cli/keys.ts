import { isInForeground } from './is-in-foreground.ts'

const CTRL_C = '\u0003'
const CTRL_Z = '\u001a'
/** How soon a process that was put in front hears keys, ms. */
const LOOK_AGAIN_MS = 500

/** A keyboard, as `process.stdin` is one in a terminal. */
export type Keyboard = NodeJS.ReadStream

/**
 * Hears keys one by one while a command runs, and gives a function that ends it. A terminal that gives keys one by one sends no signals, so Ctrl-C and
 * Ctrl-Z are passed on here. While the terminal is another job's (`command &`, or Ctrl-Z and `bg`) it is not touched: reading it, or setting how it
 * gives keys, would stop this process where nobody sees it. Keys are heard from when it is in front.
 */
export function hearKeys(onKey: (key: string) => void, keyboard: Keyboard = process.stdin): () => void {
  if (!keyboard.isTTY) return () => {}
  const hear = (chunk: Buffer | string) => {
    for (const key of String(chunk)) {
      if (key === CTRL_C) process.kill(process.pid, 'SIGINT')
      else if (key === CTRL_Z) stopHere()
      else onKey(key)
    }
  }
  // `fg` tells a stopped process (SIGCONT), and one that runs nothing.
  let looking: NodeJS.Timeout | undefined
  const listen = () => {
    clearTimeout(looking)
    if (!isInForeground()) {
      keyboard.pause()
      looking = setTimeout(listen, LOOK_AGAIN_MS).unref()
      return
    }
    // Off first: the shell may have set the terminal meanwhile, which nobody has told us.
    keyboard.setRawMode(false).setRawMode(true)
    keyboard.resume().unref()
  }
  const stopHere = () => {
    keyboard.setRawMode(false)
    process.kill(process.pid, 'SIGTSTP')
  }
  keyboard.on('data', hear)
  process.on('SIGCONT', listen)
  listen()
  return () => {
    keyboard.off('data', hear)
    process.off('SIGCONT', listen)
    clearTimeout(looking)
    if (isInForeground()) keyboard.setRawMode(false)
    keyboard.pause()
  }
}
