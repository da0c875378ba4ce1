import { spawn } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Program } from '../../support/programs/program.ts'
import type { MatrixStream } from './plan.ts'

const child = fileURLToPath(new URL('./driver-child.ts', import.meta.url))
const NODE_COMPILE_CACHE = join(tmpdir(), 'tidemark-test-compile-cache')

export type DriverEnd = {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/**
 * Runs a driver of the matrix in a process of its own until it has read what is there, or dies where `strike` says: from the sources, or as the program
 * that was made of them.
 */
export function runDriver(stream: MatrixStream, strike = '', signal?: AbortSignal, program?: Program): Promise<DriverEnd> {
  const running = spawn(process.execPath, program === undefined ? ['--conditions=tidemark-source', child] : [program.path], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      ...{ NODE_NO_WARNINGS: '1', NO_COLOR: '1', NODE_COMPILE_CACHE, ...program?.env },
      ...{ MATRIX: JSON.stringify(stream), STRIKE: strike },
    },
    ...(signal !== undefined && { signal, killSignal: 'SIGKILL' }),
  })
  let stdout = ''
  let stderr = ''
  running.stdout.setEncoding('utf8').on('data', text => (stdout += text))
  running.stderr.setEncoding('utf8').on('data', text => (stderr += text))
  return new Promise((resolve, reject) => {
    running.on('error', reject)
    running.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
}
