import { join } from 'node:path'
import { errorMessage } from '../../../src/core/errors.ts'
import { cacheFolder, isCached } from '../services/cache-folder.ts'
import { downloadJars } from '../services/maven.ts'
import { runProgram } from '../services/run-program.ts'

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

/** Gives the classpath of Kafka's server and tools, `<folder>/*`, downloaded once (54 MB) through Maven and kept in the cache. @throws ConfigError */
export async function ensureKafkaJars(): Promise<string> {
  const folder = await cacheFolder(FOLDER_NAME, into =>
    downloadJars(`Kafka ${KAFKA_VERSION}`, into, [
      ['org.apache.kafka', `kafka_${SCALA_VERSION}`, KAFKA_VERSION],
      ['org.apache.kafka', 'kafka-tools', KAFKA_VERSION],
      // Kafka's own distribution adds this one; without it the brokers log nothing, also not why they end.
      ['org.apache.logging.log4j', 'log4j-slf4j-impl', LOG4J_VERSION],
    ]),
  )
  return join(folder, '*')
}
