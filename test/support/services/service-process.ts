import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'

/** How the watching half of the shell ends when it has seen our end. */
const ABANDONED = 7

// The shell stands between this process and the service so that no service outlives us, also not after SIGKILL: its standard input is a
// pipe only we write to. A line on it is a signal for the service; its end means that we are gone, and then the service is killed and its
// folder removed. (Handlers of `process.on('exit')` would not see a SIGKILL, and a pid file helps only if we are run again.)
const WATCHING_SHELL = `
folder=$1
shift
exec 3<&0 </dev/null
"$@" 3<&- &
service=$!
{
  while read -r signal; do kill "-$signal" $service; done
  trap '' TERM
  kill -KILL $service
  exit ${ABANDONED}
} <&3 >/dev/null 2>&1 &
watcher=$!
exec 3<&-
wait $service
code=$?
kill -TERM $watcher 2>/dev/null
wait $watcher
[ $? -eq ${ABANDONED} ] && rm -rf "$folder"
exit $code
`

export type ServiceSignal = 'TERM' | 'INT' | 'KILL' | 'STOP' | 'CONT'

/** One server as a child of this process, gone when this process is, however that ends. */
export class ServiceProcess {
  readonly #shell: ChildProcess
  /** Resolves with the exit code once the service has ended, for whatever reason. */
  readonly exited: Promise<number>
  hasExited = false

  /**
   * @param command - the program and its arguments; it must stay in the foreground
   * @param options.folder - removed if this process dies without having ended the service
   * @param options.logPath - gets what the service prints
   */
  constructor(command: readonly string[], { folder, logPath }: { folder: string; logPath: string }) {
    const log = openSync(logPath, 'a')
    // Detached, so that a Ctrl-C in the terminal reaches us and not the service: we may still need it to stop in good order.
    this.#shell = spawn('sh', ['-c', WATCHING_SHELL, 'sh', folder, ...command], { stdio: ['pipe', log, log], detached: true })
    closeSync(log)
    // Writing to a service that has just ended is no error of ours: `exited` tells.
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

  /** Sends the service a signal. */
  signal(signal: ServiceSignal): void {
    if (!this.hasExited) this.#shell.stdin?.write(`${signal}\n`)
  }

  /** Sends the service a signal that ends it and resolves when it has ended. */
  async end(signal: 'TERM' | 'INT' | 'KILL'): Promise<void> {
    this.signal(signal)
    await this.exited
  }
}
