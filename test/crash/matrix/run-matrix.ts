import type { Ended, NodeProcess } from '../../src/cli/node-process.ts'
import { TidemarkProcess } from '../../src/cli/tidemark-process.ts'
import { program } from '../../support/programs/program.ts'
import type { MatrixStream } from './plan.ts'

/** `tidemark run` of a stream of the matrix, which strikes where `strike` says. */
export function startMatrix(stream: MatrixStream, strike: string, ...args: string[]): NodeProcess {
  const { until, steal } = stream
  const given = [...(until === 'latest' ? ['--until', 'latest'] : []), ...(steal ? ['--steal'] : [])]
  return startCommand(stream, ['run', jobPath(), ...given, ...args], strike)
}

/** Runs the stream to what is there now, and gives what a user sees. */
export function runMatrix(stream: MatrixStream, ...args: string[]): Promise<Ended> {
  return startMatrix(stream, '', ...args).ended
}

/** Runs another command on the job, such as `offsets reset`; the job's path comes behind its name. */
export function onMatrix(stream: MatrixStream, command: readonly string[], ...args: string[]): Promise<Ended> {
  return startCommand(stream, [...command, jobPath(), ...args]).ended
}

function startCommand(stream: MatrixStream, args: readonly string[], strike = ''): NodeProcess {
  return new TidemarkProcess(args, { env: { MATRIX: JSON.stringify(stream), STRIKE: strike } })
}

/** The job that MATRIX describes, of those that are made for many starts. */
export function jobPath(): string {
  return program('matrix-job').path
}
