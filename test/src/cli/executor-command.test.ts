import { describe, expect, test } from 'vitest'
import { temporaryFolder } from '../../connectors/files/temporary-folder.ts'
import { findFreePorts } from '../../support/services/free-port.ts'
import { tidemark } from './tidemark-process.ts'
import { writeJob } from './write-job.ts'

function ordersJob(folder: string, ending = ''): string {
  return writeJob(
    folder,
    'orders.ts',
    `import { stream } from 'tidemark'
import { collectingSink, memorySource } from 'tidemark/testing'
const job = stream({ name: 'orders' }).from(memorySource({ topics: { orders: 1 } })).to(collectingSink())
${ending}
export default job`,
  )
}

describe('tidemark executor', () => {
  test('explains itself, with examples', async () => {
    const { code, stdout } = await tidemark(['executor', '--help'])
    expect(code).toBe(0)
    for (const word of [
      '--executors <url>',
      '--threads <n>',
      '--max-heap-mib <n>',
      'TIDEMARK_EXECUTORS',
      'SIGTERM',
      'Examples:\n  tidemark executor',
    ]) {
      expect(stdout).toContain(word)
    }
  })

  test('must be told where it meets its driver', async () => {
    const { code, stderr } = await tidemark(['executor', ordersJob(temporaryFolder())], { env: { TIDEMARK_EXECUTORS: '' } })
    expect(code).toBe(2)
    expect(stderr).toMatch(/^tidemark: An executor must be told where it meets its driver: --executors redis:/)
  })

  test('ends with 1 where that Redis is not there, and says where it looked without the password', async () => {
    const [port] = await findFreePorts(1)
    const url = `redis://me:swordfish@127.0.0.1:${port}`
    const { code, stdout, stderr } = await tidemark(['executor', ordersJob(temporaryFolder()), '--threads', '1'], {
      env: { TIDEMARK_EXECUTORS: url },
    })
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain(`Redis at 127.0.0.1:${port} cannot be reached`)
    expect(stderr).not.toContain('swordfish')
  })

  test('does not become a driver through a job that starts itself', async () => {
    const path = ordersJob(temporaryFolder(), 'await job.start()')
    const { code, stderr } = await tidemark(['executor', path, '--executors', 'redis://127.0.0.1:1'])
    expect(code).toBe(2)
    expect(stderr).toContain('Stream orders is started by its own module')
  })

  test.for(['bullmq', 'ioredis'])('says what to install where %s is not there', async missing => {
    // An import that finds no package, as Node says it.
    const hooks = `import { registerHooks } from 'node:module'
registerHooks({
  resolve(specifier, context, next) {
    if (specifier !== '${missing}') return next(specifier, context)
    throw Object.assign(new Error("Cannot find package '${missing}' imported from here"), { code: 'ERR_MODULE_NOT_FOUND' })
  },
})`
    const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(hooks)}` }
    const { code, stderr } = await tidemark(['executor', ordersJob(temporaryFolder()), '--executors', 'redis://127.0.0.1:1'], { env })
    expect(code).toBe(2)
    expect(stderr).toContain(`--executors needs the package ${missing}, which is not installed: npm install bullmq ioredis`)
  })

  test.for([
    [['--threads', '0'], /--threads 0 is not understood/],
    [['--executors', 'kafka://me:swordfish@host'], /--executors is a URL of kind kafka:/],
  ] as const)('refuses %j', async ([args, message]) => {
    const { code, stderr } = await tidemark(['executor', ordersJob(temporaryFolder()), '--executors', 'redis://127.0.0.1:1', ...args])
    expect(code).toBe(2)
    expect(stderr).toMatch(message)
    expect(stderr).not.toContain('swordfish')
  })
})
