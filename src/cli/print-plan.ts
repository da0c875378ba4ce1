import { showPartition } from '../core/values.ts'
import type { AppliedTasks } from '../driver/surgery-outputs.ts'
import type { SurgeryPlan } from '../driver/surgery-plan.ts'
import { printTable, showCount, showNumber } from './print.ts'

/** Shows what a reset by hand would do, to the stream and to each of its outputs. */
export function printPlan(out: NodeJS.WritableStream, stream: string, title: string, plan: SurgeryPlan): void {
  const { state, moves, outputs, notes, discarded } = plan
  out.write(`${stream}: ${title} (epoch ${state.epoch}, last batch ${state.lastBatchId})\n`)
  if (moves.length === 0) out.write('Every partition stands there already.\n')
  else printMoves(out, plan)
  for (const { name, rewritten } of outputs) out.write(`Output ${name}: its rows that come again are ${rewritten}.\n`)
  if (moves.some(({ skipped }) => skipped > 0)) out.write('Offsets that are skipped reach no output.\n')
  for (const note of notes) out.write(`${note}\n`)
  if (discarded === undefined) return
  const { batch } = discarded
  out.write(
    `Batch ${batch.id} (${showCount(batch.ranges.length, 'range')}) is begun and would be given up; its id is not used again. Of its tasks\n`,
  )
  for (const answer of discarded.outputs) out.write(`  output ${answer.output} ${showApplied(answer)}\n`)
  out.write('Rows of tasks that are applied stay where they are, and come again with the offsets that are read from the positions above.\n')
}

function printMoves(out: NodeJS.WritableStream, { moves }: SurgeryPlan): void {
  const rows = moves.map(move => [
    showPartition(move),
    showNumber(move.from),
    showNumber(move.to),
    showNumber(move.readAgain),
    showNumber(move.skipped),
  ])
  const sum = (column: 'readAgain' | 'skipped') => showNumber(moves.reduce((total, move) => total + move[column], 0))
  printTable(['partition', 'from', 'to', 'read again', 'skipped'], [...rows, ['total', '', '', sum('readAgain'), sum('skipped')]], { out })
}

function showApplied({ applied, tasks }: AppliedTasks): string {
  if (applied === undefined) return `cannot say which it has applied: any of ${showCount(tasks, 'task')}`
  if (applied.length === 0) return `has applied none of ${showNumber(tasks)}`
  if (applied.length === tasks) return `has applied all of ${showNumber(tasks)}`
  return `has applied ${showNumber(applied.length)} of ${showNumber(tasks)}: ${applied.slice(0, 20).join(', ')}${applied.length > 20 ? ', …' : ''}`
}
