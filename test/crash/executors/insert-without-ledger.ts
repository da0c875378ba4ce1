import { setTimeout as sleep } from 'node:timers/promises'
import { Pool } from 'pg'
import type { PlaceRow } from '../matrix/outputs.ts'

/** How long a task goes on after its rows are in, ms: long enough to be struck there now and then. */
const LINGER_MS = 20

/**
 * A function for `forEachRange` that inserts rows as most people would: in one statement a task, and with nothing that tells a second time from the first.
 * What a walk doubles here it would have doubled everywhere.
 */
export function insertWithoutLedger(connectionString: string, table: string): (rows: AsyncIterable<readonly PlaceRow[]>) => Promise<void> {
  let pool: Pool | undefined
  return async rows => {
    if (pool === undefined) {
      pool = new Pool({ connectionString, allowExitOnIdle: true })
      // What a dropped idle connection says is said again by whoever uses the next.
      pool.on('error', () => {})
    }
    const all = (await Array.fromAsync(rows)).flat()
    const columns = [all.map(({ topic }) => topic), all.map(({ part }) => part), all.map(({ place }) => place)]
    await pool.query(`insert into ${table} select * from unnest($1::text[], $2::int[], $3::bigint[])`, columns)
    await sleep(LINGER_MS)
  }
}
