import type { PostgresClient } from '../../src/util/postgres-pool.ts'
import { runQuery } from './connection.ts'
import type { PostgresType } from './copy/encoders.ts'
import { quoteTable, type TableName } from './names.ts'

/** A column of a table as the server's catalogue has it. */
export type Column = {
  readonly name: string
  readonly type: PostgresType
  /** The type with its length and such: `numeric(10,2)`. */
  readonly typeName: string
  /** The type without them, to cast to: a cast to `bit(3)` would cut in silence what an assignment refuses. */
  readonly castName: string
  readonly isNullable: boolean
  readonly hasDefault: boolean
  /** Whether each row gets a value of its own where none is given: an identity, or a default from a sequence. */
  readonly isSerial: boolean
  /** Computed from other columns, or `generated always as identity`: nobody may give a value. */
  readonly isAlwaysGenerated: boolean
  readonly mayInsert: boolean
  readonly mayUpdate: boolean
  readonly maySelect: boolean
}

/** A unique index or an exclusion constraint. */
export type UniqueIndex = {
  readonly name: string
  /** In the index' order; empty where it is over an expression, a part of the rows, or excludes by other means than equality. */
  readonly columns: readonly string[]
  /** Whether `on conflict` can go by it. */
  readonly isPlain: boolean
}

/** What the sink knows of the table it writes to. */
export type Table = {
  readonly quoted: string
  readonly oid: number
  readonly kind: string
  readonly isUnlogged: boolean
  readonly columns: readonly Column[]
  readonly uniqueIndexes: readonly UniqueIndex[]
  /** Whether an insert does more than insert: triggers, foreign keys, rules, row-level security. */
  readonly hasSideEffects: boolean
  readonly mayDelete: boolean
  readonly mayMakeTemporary: boolean
}

const TABLE = `
select c.oid::int8, n.nspname, c.relname, c.relkind, c.relpersistence = 'u' as is_unlogged,
  c.relhasrules or c.relrowsecurity or exists (
    select from pg_trigger t where t.tgrelid = any (tree.oids) and t.tgenabled <> 'D' and t.tgtype & 4 = 4
  ) as has_side_effects,
  has_table_privilege(c.oid, 'DELETE') as may_delete,
  has_database_privilege(current_database(), 'TEMP') as may_temp,
  coalesce((
    select json_agg(json_build_object(
      'name', i.relname,
      'columns', (select coalesce(json_agg(a.attname order by k.place), '[]') from unnest(x.indkey[:x.indnkeyatts - 1]) with ordinality k (num, place)
        join pg_attribute a on a.attrelid = x.indrelid and a.attnum = k.num),
      'isPlain', x.indisunique and x.indimmediate and x.indpred is null and x.indexprs is null and x.indrelid = c.oid
    ))
    from pg_index x join pg_class i on i.oid = x.indexrelid
    where x.indrelid = any (tree.oids) and x.indislive and (x.indisunique or x.indisexclusion)
      and (x.indrelid = c.oid or not exists (select from pg_inherits h where h.inhrelid = x.indexrelid))
  ), '[]') as unique_indexes
from pg_class c join pg_namespace n on n.oid = c.relnamespace,
  lateral (select case when c.relkind = 'p' then array (select relid::oid from pg_partition_tree(c.oid)) else array[c.oid] end as oids) tree
where c.oid = to_regclass($1)`

const COLUMNS = `
select a.attname as name, a.atttypid::int8 as type_oid, format_type(a.atttypid, a.atttypmod) as type_name, format_type(a.atttypid, -1) as cast_name,
  not (a.attnotnull or t.typnotnull) as is_nullable, a.atthasdef or a.attidentity <> '' or t.typdefault is not null as has_default,
  a.attidentity <> '' or coalesce(pg_get_expr(d.adbin, d.adrelid), '') like 'nextval(%' as is_serial,
  a.attidentity = 'a' or a.attgenerated <> '' as is_always_generated,
  has_column_privilege(a.attrelid, a.attnum, 'INSERT') as may_insert,
  has_column_privilege(a.attrelid, a.attnum, 'UPDATE') as may_update,
  has_column_privilege(a.attrelid, a.attnum, 'SELECT') as may_select
from pg_attribute a join pg_type t on t.oid = a.atttypid left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped
order by a.attnum`

const TYPES = `
with recursive used (oid) as (
  select unnest($1::oid[])
  union
  select case when t.typtype = 'd' then t.typbasetype else t.typelem end
  from used join pg_type t on t.oid = used.oid where t.typtype = 'd' or (t.typcategory = 'A' and t.typelem <> 0)
)
select t.oid::int8, t.typname as name, n.nspname = 'pg_catalog' as is_built_in, t.typtype as type,
  case when t.typtype = 'd' then t.typbasetype::int8 end as base, case when t.typcategory = 'A' and t.typtype <> 'd' then t.typelem::int8 end as element
from used join pg_type t on t.oid = used.oid join pg_namespace n on n.oid = t.typnamespace`

type TableRow = {
  oid: string
  nspname: string
  relname: string
  relkind: string
  is_unlogged: boolean
  has_side_effects: boolean
  may_delete: boolean
  may_temp: boolean
  unique_indexes: readonly UniqueIndex[]
}
type ColumnRow = {
  name: string
  type_oid: string
  type_name: string
  cast_name: string
  is_nullable: boolean
  has_default: boolean
  is_serial: boolean
  is_always_generated: boolean
  may_insert: boolean
  may_update: boolean
  may_select: boolean
}
type TypeRow = { oid: string; name: string; is_built_in: boolean; type: string; base: string | null; element: string | null }

/** Reads the table from the server's catalogue; undefined where there is none of this name. */
export async function loadTable(client: PostgresClient, name: TableName): Promise<Table | undefined> {
  const [row] = await runQuery<TableRow>(client, TABLE, [quoteTable(name)])
  if (row === undefined) return undefined
  const columns = await runQuery<ColumnRow>(client, COLUMNS, [row.oid])
  const types = new Map(
    (await runQuery<TypeRow>(client, TYPES, [columns.map(column => column.type_oid)])).map(type => [String(type.oid), type] as const),
  )
  return {
    quoted: quoteTable({ schema: row.nspname, table: row.relname }),
    oid: Number(row.oid),
    kind: row.relkind,
    isUnlogged: row.is_unlogged,
    columns: columns.map(column => ({
      name: column.name,
      type: typeOf(column.type_oid, types),
      typeName: column.type_name,
      castName: column.cast_name,
      isNullable: column.is_nullable,
      hasDefault: column.has_default,
      isSerial: column.is_serial,
      isAlwaysGenerated: column.is_always_generated,
      mayInsert: column.may_insert,
      mayUpdate: column.may_update,
      maySelect: column.may_select,
    })),
    uniqueIndexes: row.unique_indexes,
    hasSideEffects: row.has_side_effects,
    mayDelete: row.may_delete,
    mayMakeTemporary: row.may_temp,
  }
}

function typeOf(oid: string, types: ReadonlyMap<string, TypeRow>): PostgresType {
  const row = types.get(String(oid))
  if (row === undefined) return { oid: Number(oid), name: '', isBuiltIn: false, kind: 'other' }
  return {
    oid: Number(row.oid),
    name: row.name,
    isBuiltIn: row.is_built_in,
    kind: row.type === 'b' ? 'base' : row.type === 'e' ? 'enum' : row.type === 'd' ? 'domain' : 'other',
    ...(row.base !== null && { base: typeOf(row.base, types) }),
    ...(row.element !== null && { element: typeOf(row.element, types) }),
  }
}
