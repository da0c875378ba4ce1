import { ConnectionError } from '../../src/core/errors.ts'

/** Writes to stdout and resolves when it is taken: a slow reader slows the stream down, and does not fill the memory. */
export function writeStdout(lines: string): Promise<void> {
  return new Promise((resolve, reject) => {
    // A reader that has gone (`| head`) is also told as an event, after the callback, and an event nobody hears ends the process.
    const swallow = () => {}
    process.stdout.once('error', swallow)
    process.stdout.write(lines, error => {
      if (!error) {
        process.stdout.off('error', swallow)
        return resolve()
      }
      const message = `Cannot write rows to stdout: ${error.message}. Whoever reads this process's output has stopped; start it again with a reader.`
      reject(new ConnectionError(message, { cause: error, retryable: false }))
    })
  })
}
