import { quoteName } from './names.ts'
import type { Target } from './target.ts'

/** Before the merge, so that a merge that failed can be looked into. */
export const SAVEPOINT = 'tidemark_rows'
/** Deferred constraints are checked now, while what fails can be looked into. */
export const CHECK_CONSTRAINTS = 'set constraints all immediate'
const PLACE = 'tidemark_place'
const IS_DELETED = 'tidemark_deleted'

/** The part of a staging table's rows to merge: places in the task, half-open. */
export type Places = { readonly from: number; readonly until: number }

/** The statement of a COPY into the table itself. */
export function copyIntoTable({ table, columns }: Target): string {
  return `copy ${table.quoted} (${columns.map(({ name }) => quoteName(name)).join(', ')}) from stdin (format binary)`
}

/**
 * The statements that make the staging table of this connection, where it has none yet, and copy into it. It is empty after every transaction, or gone:
 * a connection would otherwise come to have one for each table that rows were ever routed to, and the server empties all of them at every commit.
 */
export function copyIntoStaging(target: Target, after: 'delete rows' | 'drop' = 'delete rows'): string {
  const columns = target.columns.map(({ typeName }, at) => `c${at} ${target.isText[at] ? 'text' : typeName}`)
  return `set local client_min_messages = warning;
create temporary table if not exists ${stagingTable(target)} (${[...columns, `${PLACE} bigint`, `${IS_DELETED} boolean`].join(', ')}) on commit ${after};
copy ${stagingTable(target)} from stdin (format binary)`
}

function stagingTable({ id }: Target): string {
  return `pg_temp.tidemark_${id}`
}

/** A column's name by that in the staging table, `c2`. */
export function columnOfStaging({ columns }: Target, name: string): string | undefined {
  return columns[Number(/^c(\d+)$/.exec(name)?.[1] ?? NaN)]?.name
}

/**
 * The statements that bring the staging table's rows into the table. Of the rows of a key the one that comes last counts, or with a version the last of
 * the highest, which is what row after row would leave. Keys are taken in their order, so that two merges cannot wait for each other.
 */
export function mergeSql(target: Target, places?: Places): string {
  return `${mergeRowsSql(target, places)};\n${CHECK_CONSTRAINTS}`
}

/** The same, leaving constraints that are deferred to the end, since the rows of another table may be what they wait for. */
export function mergeRowsSql(target: Target, places?: Places): string {
  const { mode } = target
  const statements =
    mode.key === undefined
      ? [appendSql(target, places)]
      : [
          ...(mode.deleteWhen === undefined ? [] : [lockSql(target, mode.key), deleteSql(target, mode.key, places)]),
          upsertSql(target, mode.key, places),
        ]
  return statements.join(';\n')
}

/** Reads one column of one row as the merge does, to find out whether that is what fails. */
export function readColumnSql(target: Target, at: number, place: number): string {
  return `select ${read(target, at)} is null from ${stagingTable(target)} where ${PLACE} = ${place}`
}

export function isTextColumn(target: Target, at: number): boolean {
  return target.isText[at] === true
}

function read({ columns, isText }: Target, at: number): string {
  return isText[at] ? `c${at}::${columns[at]?.castName}` : `c${at}`
}

function appendSql(target: Target, places: Places | undefined): string {
  const { table, columns } = target
  return `insert into ${table.quoted} (${columns.map(({ name }) => quoteName(name)).join(', ')})
select ${columns.map((_, at) => read(target, at)).join(', ')} from ${stagingTable(target)}${within(places, 'where')} order by ${PLACE}`
}

/** One row a key. */
function lastRows(target: Target, key: readonly string[]): string {
  const { columns, mode } = target
  const names = key.map(quoteName).join(', ')
  const version = mode.version === undefined ? '' : `${quoteName(mode.version)} desc nulls last, `
  return `(select distinct on (${names}) * from (
  select ${columns.map(({ name }, at) => `${read(target, at)} as ${quoteName(name)}`).join(', ')}, ${PLACE}, ${IS_DELETED} from ${stagingTable(target)}
) staged order by ${names}, ${version}${PLACE} desc)`
}

function upsertSql(target: Target, key: readonly string[], places: Places | undefined): string {
  const { table, columns, mode } = target
  const names = columns.map(({ name }) => quoteName(name)).join(', ')
  const others = columns.filter(({ name }) => !key.includes(name))
  const conflict = key.map(quoteName).join(', ')
  const set = others.map(({ name }) => `${quoteName(name)} = excluded.${quoteName(name)}`).join(', ')
  const action = others.length === 0 ? 'do nothing' : `do update set ${set}${isNewer(mode.version, 'where', 'excluded')}`
  return `insert into ${table.quoted} as target (${names})
select ${names} from ${lastRows(target, key)} last_rows where not ${IS_DELETED}${within(places, 'and')} order by ${conflict}
on conflict (${conflict}) ${action}`
}

/** Locks what the merge may delete or replace in the order of the keys: it deletes first, and that would be an order of its own. */
function lockSql(target: Target, key: readonly string[]): string {
  return `select count(*) from (select 1 from ${target.table.quoted} target join ${lastRows(target, key)} last_rows on ${sameKey(key)}
order by ${key.map(name => `target.${quoteName(name)}`).join(', ')} for update of target) locked`
}

function deleteSql(target: Target, key: readonly string[], places: Places | undefined): string {
  return `delete from ${target.table.quoted} target using ${lastRows(target, key)} last_rows
where ${sameKey(key)} and ${IS_DELETED}${within(places, 'and')}${isNewer(target.mode.version, 'and', 'last_rows')}`
}

function sameKey(key: readonly string[]): string {
  return key.map(name => `target.${quoteName(name)} = last_rows.${quoteName(name)}`).join(' and ')
}

function isNewer(version: string | undefined, word: 'where' | 'and', row: string): string {
  if (version === undefined) return ''
  const name = quoteName(version)
  return ` ${word} (target.${name} is null or ${row}.${name} >= target.${name})`
}

function within(places: Places | undefined, word: 'where' | 'and'): string {
  return places === undefined ? '' : ` ${word} ${PLACE} >= ${places.from} and ${PLACE} < ${places.until}`
}
