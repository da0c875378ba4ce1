import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'

/** How the watching half of the shell ends when it has seen our end. */
const ABANDONED = 7

// The shell stands between this process and the broker so that no broker outlives us, also not after SIGKILL: its standard input is a
// pipe only we write to. A line on it is a signal for the broker; its end means that we are gone, and then the broker is killed and the
// cluster's folder removed. (Handlers of `process.on('exit')` would not see a SIGKILL, and a pid file helps only if we are run again.)
const WATCHING_SHELL = `
folder=$1
shift
exec 3<&0 </dev/null
"$@" 3<&- &
broker=$!
{
  while read -r signal; do kill "-$signal" $broker; done
  trap '' TERM
  kill -KILL $broker
  exit ${ABANDONED}
} <&3 >/dev/null 2>&1 &
watcher=$!
exec 3<&-
wait $broker
code=$?
kill -TERM $watcher 2>/dev/null
wait $watcher
[ $? -eq ${ABANDONED} ] && rm -rf "$folder"
exit $code
`

/** One broker as a child of this process, gone when this process is, however that ends. */
export class BrokerProcess {
  readonly #shell: ChildProcess
  /** Resolves with the exit code once the broker has ended, for whatever reason. */
  readonly exited: Promise<number>
  hasExited = false

  /**
   * @param java - the command line of the broker
   * @param options.clusterFolder - removed if this process dies without closing the cluster
   * @param options.logPath - gets what the broker prints
   */
  constructor(java: readonly string[], { clusterFolder, logPath }: { clusterFolder: string; logPath: string }) {
    const log = openSync(logPath, 'a')
    // Detached, so that a Ctrl-C in the terminal reaches us and not the broker: we may still need it to stop in good order.
    this.#shell = spawn('sh', ['-c', WATCHING_SHELL, 'sh', clusterFolder, ...java], { stdio: ['pipe', log, log], detached: true })
    closeSync(log)
    // Writing to a broker that has just ended is no error of ours: `exited` tells.
    this.#shell.stdin?.on('error', () => {})
    this.exited = new Promise(resolve => {
      const end = (code: number) => {
        this.hasExited = true
        resolve(code)
      }
      this.#shell.once('error', () => end(127))
      this.#shell.once('exit', code => end(code ?? 1))
    })
  }

  /** Sends the broker a signal and resolves when it has ended. */
  async end(signal: 'TERM' | 'KILL'): Promise<void> {
    if (!this.hasExited) this.#shell.stdin?.write(`${signal}\n`)
    await this.exited
  }
}
