export { postgresSinkMigration } from './ledger-schema.ts'
export type { PostgresSinkOptions, PostgresTableOptions, PostgresWriteOptions } from './options.ts'
export { postgresSink } from './postgres-sink.ts'
