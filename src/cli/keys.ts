const CTRL_C = '\u0003'
const CTRL_Z = '\u001a'

/** A keyboard, as `process.stdin` is one in a terminal. */
export type Keyboard = NodeJS.ReadStream

/**
 * Hears keys one by one while a command runs, and gives a function that ends it. A terminal that gives keys one by one sends no signals, so Ctrl-C and
 * Ctrl-Z are passed on here.
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
  const stopHere = () => {
    keyboard.setRawMode(false)
    process.once('SIGCONT', () => keyboard.setRawMode(true))
    process.kill(process.pid, 'SIGTSTP')
  }
  keyboard.setRawMode(true)
  keyboard.on('data', hear).resume().unref()
  return () => {
    keyboard.off('data', hear)
    keyboard.setRawMode(false)
    keyboard.pause()
  }
}
