import { describe, expect, test } from 'vitest'
import { parseStoreUrl } from '../../../src/cli/store-url.ts'
import { temporaryFolder } from '../../connectors/files/temporary-folder.ts'
import { findFreePorts } from '../../support/services/free-port.ts'
import { tidemark } from './tidemark-process.ts'

describe('a store is shown without what may be secret', () => {
  test.for([
    ['sqlite:orders.db', 'sqlite:orders.db'],
    ['postgres://user:secret@host:5432/db', 'postgres://host:5432/db'],
    ['POSTGRESQL://user:se/c@ret@host/db?password=secret&sslmode=require', 'postgresql://host/db'],
    ['postgres://host/db?tidemark_schema=own&password=secret', 'postgres://host/db?tidemark_schema=own'],
    ['postgres://user:sec?ret@host/db', 'postgres:'],
    ['postgres:///db?host=/var/run/postgresql', 'postgres:///db'],
    ['redis://:secret@host:6379/2?prefix=own', 'redis://host:6379/2?prefix=own'],
    ['rediss://user:secret@host', 'rediss://host'],
    ['zookeeper://user:secret@a:2181,b:2181/root/below', 'zookeeper://a:2181,b:2181/root/below'],
    ['kafka://user:secret@a:9092,b:9092/offsets?ssl=true&mechanism=scram-sha-256', 'kafka://a:9092,b:9092/offsets'],
    ['kafka://user:sec@ret@a:9092', 'kafka://a:9092'],
  ])('%s as %s', ([url, shown]) => {
    expect(parseStoreUrl(url ?? '', '--store').shown).toBe(shown)
  })

  test.for(['mysql://user:secret@host', 'user:secret@host', 'kafka://user:secret@', 'zookeeper://user:secret@/root'])(
    'also where %s is refused',
    url => {
      expect(() => parseStoreUrl(url, '--store')).toThrow(
        expect.objectContaining({ message: expect.not.stringMatching(/sec|ret@/), code: 'CONFIG' }),
      )
    },
  )
})

test.for([
  'postgres://user:secret@127.0.0.1:PORT/db',
  'redis://user:secret@127.0.0.1:PORT',
  'zookeeper://user:secret@127.0.0.1:PORT',
  'kafka://user:secret@127.0.0.1:PORT',
])('%s that is not there ends with a sentence, and without the password', async url => {
  const [port] = await findFreePorts(1)
  const { code, stdout, stderr } = await tidemark(['streams'], { env: { TIDEMARK_STORE: url.replace('PORT', String(port)) } })
  expect({ code, stdout, stderr }).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(/^tidemark: .{20}/) })
  expect(stderr).not.toContain('secret')
  expect(stderr).not.toMatch(/^\s+at /m)
})

test.for([
  ['postgres://host/db', 'pg'],
  ['redis://host', 'ioredis'],
  ['rediss://host', 'ioredis'],
  ['zookeeper://host', 'node-zookeeper-client'],
])('%s without its package is told what to install', async ([url = '', name]) => {
  const hide = `import { registerHooks } from 'node:module'
registerHooks({ resolve(specifier, context, next) {
  if (specifier !== '${name}') return next(specifier, context)
  throw Object.assign(new Error("Cannot find package '${name}' imported from " + context.parentURL), { code: 'ERR_MODULE_NOT_FOUND' })
} })`
  const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(hide)}`, TIDEMARK_STORE: url }
  const { code, stderr } = await tidemark(['streams'], { cwd: temporaryFolder(), env })
  expect({ code, stderr }).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(new RegExp(`^tidemark: .* needs the package ${name}\\b.*npm install ${name}\\b`)),
  })
})
