import { ConfigError } from '../core/errors.ts'
import type { RunnableOutput } from '../core/runnable-job.ts'
import type { Sink } from '../core/sink.ts'
import type { DriverJob } from '../driver/driver-job.ts'

/** The output of a job's dead letters. @throws ConfigError where it has none */
export function letterOutput({ stream, outputs }: DriverJob): RunnableOutput {
  const found = [...outputs.values()].find(({ isDeadLetters }) => isDeadLetters)
  if (found !== undefined) return found
  throw new ConfigError(
    `Stream ${stream} has no dead letters: onRecordError: deadLetter(sink) in its options puts records aside that its functions fail on.`,
  )
}

/** Where the letters of a stream are: those of a replay may be beside. */
export function sinkOfLetters({ sink }: RunnableOutput, own: string, stream: string): Sink<never> {
  return stream === own ? sink : (sink.forStream?.(stream) ?? sink)
}

/** What a stream's letters are run again as: `orders~letters`, and the letters of that one as `orders~letters-2`. */
export function replayOfLetters(stream: string): string {
  const [, own = stream, number = '1'] = /^(.*)~letters(?:-(\d+))?$/.exec(stream) ?? []
  return own === stream ? `${stream}~letters` : `${own}~letters-${Number(number) + 1}`
}
