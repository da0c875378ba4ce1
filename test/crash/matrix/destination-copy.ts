import { redisKeys } from './destination-state.ts'
import { openOutput } from './outputs.ts'
import type { MatrixStream } from './plan.ts'
import { withPostgres, withRedis } from './read-output.ts'

/** Takes a copy of what a Postgres or Redis output has, rows with fence and ledger, as a backup would; what it gives puts it back. */
export function copyDestination(stream: MatrixStream): Promise<() => Promise<void>> {
  switch (stream.output) {
    case 'postgres append':
    case 'postgres upsert':
      return copyTables(stream)
    case 'redis':
      return copyKeys(stream)
    default:
      throw new Error(`${stream.output} cannot be put back.`)
  }
}

async function copyTables({ postgres, stream, target }: MatrixStream): Promise<() => Promise<void>> {
  const ofStream = `where stream = '${stream}'`
  const parts = [
    { table: target, where: '' },
    { table: 'tidemark.sink_fences', where: ofStream },
    { table: 'tidemark.sink_ledger', where: ofStream },
  ].map((part, index) => ({ ...part, copy: `${target}_copy_${index}` }))
  const run = (statements: readonly string[]) => withPostgres(postgres, client => client.query(`begin; ${statements.join('; ')}; commit`))
  await run(parts.map(({ table, where, copy }) => `create table ${copy} as select * from ${table} ${where}`))
  return async () => {
    await run(parts.flatMap(({ table, where, copy }) => [`delete from ${table} ${where}`, `insert into ${table} select * from ${copy}`]))
  }
}

function copyKeys(stream: MatrixStream): Promise<() => Promise<void>> {
  return withRedis(stream.redis, async client => {
    const copies = await Promise.all(redisKeys(stream).map(async key => ({ key, dump: await client.dumpBuffer(key) })))
    return () =>
      withRedis(stream.redis, async again => {
        for (const { key, dump } of copies) {
          if (dump === null) await again.del(key)
          else await again.restore(key, 0, dump, 'REPLACE')
        }
      })
  })
}

/** Takes the rows of one task and its ledger row out of a Postgres output, as a failover would that lost its commit. */
export async function forgetTask(stream: MatrixStream, batchId: number, index: number): Promise<void> {
  const values = [stream.stream, openOutput(stream).name, batchId, index]
  await withPostgres(stream.postgres, async client => {
    const gone = await client.query(
      `with task as (delete from tidemark.sink_ledger where stream = $1 and output = $2 and batch_id = $3 and task_index = $4 returning *)
      delete from ${stream.target} using task where part = task.partition and place >= task.from_offset and place < task.until_offset`,
      values,
    )
    if (gone.rowCount === 0) throw new Error(`Task ${index} of batch ${batchId} has no rows.`)
  })
}
