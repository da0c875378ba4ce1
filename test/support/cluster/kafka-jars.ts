import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ConfigError, errorMessage } from '../../../src/core/errors.ts'
import { cacheFolder, isCached } from './cache-folder.ts'
import { runProgram } from './run-program.ts'

/** The Kafka that is started where none is given. */
export const KAFKA_VERSION = '4.1.1'

const SCALA_VERSION = '2.13'
const LOG4J_VERSION = '2.24.3'
const OLDEST_JAVA = 17
const FOLDER_NAME = `kafka-${KAFKA_VERSION}`

/** Says why Java cannot run Kafka here, or `undefined` when it can. */
export async function whyNoJava(): Promise<string | undefined> {
  try {
    const { stdout, stderr } = await runProgram('java', ['-version'])
    const version = /version "(?:1\.)?(\d+)/.exec(stderr + stdout)?.[1]
    if (version === undefined || Number(version) < OLDEST_JAVA) return `java is version ${version ?? 'unknown'}, older than ${OLDEST_JAVA}`
    if (!(await isCached(FOLDER_NAME))) await runProgram('mvn', ['-v'])
    return undefined
  } catch (error) {
    return errorMessage(error)
  }
}

/**
 * Gives the classpath of Kafka's server and tools, `<folder>/*`. Downloaded once (54 MB) through Maven as the environment configures
 * it, and kept in the cache.
 *
 * @throws ConfigError with what Maven said
 */
export async function ensureKafkaJars(): Promise<string> {
  return join(await cacheFolder(FOLDER_NAME, download), '*')
}

async function download(folder: string): Promise<void> {
  const project = await mkdtemp(join(tmpdir(), 'tidemark-maven-'))
  try {
    const pom = join(project, 'pom.xml')
    await writeFile(pom, pomOfKafka())
    process.stderr.write(`Downloading Kafka ${KAFKA_VERSION} through Maven, once …\n`)
    await runProgram('mvn', [
      '-q',
      '-B',
      '-f',
      pom,
      'dependency:copy-dependencies',
      `-DoutputDirectory=${folder}`,
      '-DincludeScope=runtime',
    ])
  } catch (error) {
    throw new ConfigError(`Kafka's jars could not be downloaded through Maven: ${errorMessage(error)}`, { cause: error })
  } finally {
    await rm(project, { recursive: true, force: true })
  }
}

function pomOfKafka(): string {
  const dependencies = [
    ['org.apache.kafka', `kafka_${SCALA_VERSION}`, KAFKA_VERSION],
    ['org.apache.kafka', 'kafka-tools', KAFKA_VERSION],
    // Kafka's own distribution adds this one; without it the brokers log nothing, also not why they end.
    ['org.apache.logging.log4j', 'log4j-slf4j-impl', LOG4J_VERSION],
  ].map(
    ([group, artifact, version]) =>
      `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`,
  )
  return [
    '<project><modelVersion>4.0.0</modelVersion>',
    '<groupId>tidemark</groupId><artifactId>kafka-jars</artifactId><version>1</version><packaging>pom</packaging>',
    `<dependencies>${dependencies.join('')}</dependencies></project>`,
  ].join('\n')
}
