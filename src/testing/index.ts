/**
 * For people who write a store, an executor, a source, a sink or a job: contract suites that run under any test runner, and fakes with behaviour.
 *
 * @module
 */
export {
  type CollectedTask,
  CollectingSink,
  type CollectingSinkOptions,
  collectingSink,
  type SinkFailure,
} from './collecting-sink.ts'
export type { ExecutorFault, ExecutorFaults } from './executor/contract.ts'
export type { WorkerId } from './executor/notes.ts'
export { type ContractJob, type ExecutorContractOptions, executorContract, type OpenedExecutor } from './executor-contract.ts'
export { ManualClock } from './manual-clock.ts'
export type { MemoryRecord } from './memory-log.ts'
export { MemorySource, type MemorySourceOptions, memorySource, type NewRecord, type SourceCall } from './memory-source.ts'
export type { StoreFault, StoreFaults } from './offset-store/contract.ts'
export { type OffsetStoreContractOptions, type OpenedOffsetStore, offsetStoreContract } from './offset-store-contract.ts'
export { seededRandom } from './seeded-random.ts'
