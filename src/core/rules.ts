/**
 * For people who write an offset store or an exactly-once output: every decision of one as a pure function. A store or a destination loads what it keeps inside
 * of its own transaction, asks here, and writes what it is told; what is refused is thrown, with the words that Tidemark's own use.
 *
 *     import { checkBegin, checkCommit, checkTask } from 'tidemark/rules'
 *
 * @module
 */
export { checkApplied, checkFence, checkTask, type FenceRow, fenceRowOf, type LedgerCount } from './fence-rules.ts'
export {
  checkAcquire,
  checkBegin,
  checkCommit,
  checkExists,
  checkLive,
  checkReset,
  checkRestore,
  HISTORY_KEPT,
  isKeptForEver,
  isLive,
  positionsAfter,
  type ResetPlan,
  resetEntries,
  type StreamHead,
  trimBelow,
} from './store-rules.ts'
export { checkLeaseRequest, checkNote, checkSnapshot, checkStreamName, completeHistoryOptions, copyJson } from './store-values.ts'
export { comparePartitions, partitionKey, sameRange, showPartition, showRange } from './values.ts'
