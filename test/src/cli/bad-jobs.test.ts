import { describe, expect, test } from 'vitest'
import { temporaryFolder } from '../../connectors/files/temporary-folder.ts'
import { tidemark } from './tidemark-process.ts'
import { writeJob } from './write-job.ts'

const IMPORTS = `import { stream } from 'tidemark'
import { jsonlSink } from 'tidemark/files'
import { kafkaSource } from 'tidemark/kafka'
`

/** Runs `tidemark run` on a job file of this content and gives what it says, without a stack of ours. */
async function refusal(source: string, env: Record<string, string> = {}): Promise<string> {
  const folder = temporaryFolder()
  writeJob(folder, 'job.ts', IMPORTS + source)
  const { code, stdout, stderr } = await tidemark(['run', 'job.ts'], { cwd: folder, env })
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).not.toMatch(/^\s+at (?!.*job\.ts)/m)
  return stderr
}

const to = ".to(jsonlSink({ directory: 'out' }))"

describe('a setting that is not there', () => {
  test('for the brokers is named by its path', async () => {
    expect(
      await refusal(
        `export default stream({ name: 'x' }).from(kafkaSource({ kafka: { brokers: [process.env.NOT_SET] }, topics: ['a'] }))${to}`,
      ),
    ).toBe("tidemark: kafkaSource: kafka.brokers[0] is undefined: expected a broker's address, as in { brokers: ['host:port'] }\n")
  })

  test('for the whole of kafka and the topics is named with all else that is wrong', async () => {
    const said = await refusal(
      `export default stream({ name: 'x' }).from(kafkaSource({ kafka: undefined, topics: undefined, isolation: 'dirty', fetchMaxBytes: 1, grup: 'a' }))${to}`,
    )
    expect(said).toContain('kafkaSource: 5 options are wrong:\n')
    for (const path of [
      'kafka is undefined',
      'topics is undefined',
      'isolation is "dirty"',
      'fetchMaxBytes is 1',
      'grup is not an option',
    ]) {
      expect(said).toContain(`\n  ${path}`)
    }
  })

  test('for the folder of an output is named', async () => {
    expect(
      await refusal(
        `export default stream({ name: 'x' }).from(kafkaSource({ kafka: { brokers: ['localhost:1'] }, topics: ['a'] })).to(jsonlSink({ directory: process.env.NOT_SET }))`,
      ),
    ).toMatch(/^tidemark: jsonlSink: directory is undefined: expected the path of the folder/)
  })

  test('never shows a password that is beside it', async () => {
    const said = await refusal(
      `const sasl = { mechanism: 'plain', username: 'me', password: process.env.SECRET }
export default stream({ name: 'x' }).from(kafkaSource({ kafka: { brokers: ['no port', 'broker:9092', 9092], sasl }, topics: ['a'] }))${to}`,
      { SECRET: 'hunter2' },
    )
    expect(said).toContain('kafkaSource: 2 options are wrong:\n')
    expect(said).toMatch(/^ {2}kafka\.brokers\[0\] is "no port": .*\n {2}kafka\.brokers\[2\] is 9092: /m)
    expect(said).not.toContain('hunter2')
  })
})

test('two outputs of one name are refused by that name', async () => {
  const said = await refusal(
    `const flow = stream({ name: 'x' }).from(kafkaSource({ kafka: { brokers: ['localhost:1'] }, topics: ['a'] }))
flow.to(jsonlSink({ directory: 'out' }), { name: 'files' })
export default flow.to(jsonlSink({ directory: 'other' }), { name: 'files' })`,
  )
  expect(said).toMatch(/^tidemark: .*files/)
})
