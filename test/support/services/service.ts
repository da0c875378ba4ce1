import { ConfigError } from '../../../src/core/errors.ts'

/** A running server for tests and the bench. Whoever started it closes it. What it keeps outlives `kill` and `stop`, not `close`. */
export interface Service extends AsyncDisposable {
  /** One line on where it came from, for people. */
  readonly origin: string
  /** How clients reach it: a URL, or `host:port` for ZooKeeper. Plain data that may go to other processes. */
  readonly address: string
  /** Ends it in good order. @throws ConfigError when it is not ours to stop */
  stop(): Promise<void>
  /** Ends it with SIGKILL. @throws ConfigError when it is not ours to kill */
  kill(): Promise<void>
  /** Starts it again on its address and its data; resolves when it answers. */
  start(): Promise<void>
  close(): Promise<void>
}

/** What a service is asked for. */
export type ServiceOptions = {
  /** It must be our own, since it will be stopped or filled: the address in the environment is passed over. @default false */
  readonly own?: boolean
}

/** A service that runs somewhere already and is not ours to stop. */
export function serviceAt(name: string, variable: string, address: string): Service {
  const refuse = async () => {
    throw new ConfigError(`The ${name} named by ${variable} is not ours to stop. Start one with { own: true } for this.`)
  }
  const close = async () => {}
  return { origin: `${name} at ${variable}`, address, stop: refuse, kill: refuse, start: refuse, close, [Symbol.asyncDispose]: close }
}

/** Says that there is no service to run against, and the ways to one. */
export function noService(name: string, variable: string, engine: string, local: string): ConfigError {
  return new ConfigError(
    [
      `No ${name} to run against. Any one of these is enough:`,
      `  - an address: ${variable}`,
      `  - a running Docker engine (${engine})`,
      `  - ${local}`,
    ].join('\n'),
  )
}
