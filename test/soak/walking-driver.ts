import { fileURLToPath } from 'node:url'
import type { MatrixStream } from '../crash/matrix/plan.ts'
import { WalkingProcess } from '../support/walking-process.ts'

const child = fileURLToPath(new URL('../crash/matrix/driver-child.ts', import.meta.url))
/** How a driver may end by itself while its servers come and go: fenced, or unable to reach one at its start. */
const EXPECTED = /^ended: (FENCED|CONNECTION|TIMEOUT|LEASE_HELD) /m

/** A driver of a stream of the matrix. */
export function walkingDriver(stream: MatrixStream): WalkingProcess {
  return new WalkingProcess({
    label: `a driver of ${stream.store} → ${stream.output}`,
    args: ['--conditions=tidemark-source', child],
    env: { MATRIX: JSON.stringify(stream), STRIKE: '' },
    isExpected: ({ said }) => EXPECTED.test(said),
  })
}
