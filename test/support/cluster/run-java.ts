import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { ConfigError } from '../../../src/core/errors.ts'
import { cacheFolder } from '../services/cache-folder.ts'
import { execInContainer } from '../services/container-engine.ts'
import { runProgram } from '../services/run-program.ts'
import type { KafkaAddress } from './kafka-cluster.ts'
import { ensureKafkaJars, KAFKA_VERSION, whyNoJava } from './kafka-jars.ts'

/** The folder of the Java programs that tests and the bench run. */
export const JAVA_FOLDER = join(import.meta.dirname, '..', 'java')

/** JVM options for programs that end within a few seconds. */
export const SHORT_RUN = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-XX:-UsePerfData']

/** JVM options that keep Kafka's logging to warnings, away from standard output. */
export const LOG_TO_CONSOLE = [`-Dlog4j2.configurationFile=${join(JAVA_FOLDER, 'log4j2.properties')}`]

/**
 * Runs a Java program against this Kafka and gives what it printed: a class of Kafka's jars by its full name, or a source file of
 * `test/support/java` by its name. `args` gets the brokers, comma separated, as that program must name them.
 *
 * @throws ConfigError when there is no Java to run it, or when it fails, with what it said
 */
export async function runJava(
  kafka: KafkaAddress,
  program: string,
  args: (brokers: string) => readonly string[],
  { jvm = [] }: { jvm?: readonly string[] } = {},
): Promise<string> {
  const { tools } = kafka
  if (tools.kind === 'container') {
    const main = program.endsWith('.java') ? `${tools.sources}/${program}` : program
    const log = `-Dlog4j2.configurationFile=${tools.sources}/log4j2.properties`
    return execInContainer(tools.containerId, ['java', ...jvm, log, '-cp', tools.jars, main, ...args(tools.brokers.join(','))])
  }
  const reason = await whyNoJava()
  if (reason !== undefined) {
    throw new ConfigError(
      `${program} is part of the tests and needs Java 17 or newer (a JDK) and Maven on PATH, whatever Kafka it talks to: ${reason}.`,
    )
  }
  const jars = await ensureKafkaJars()
  const [main, classpath] = program.endsWith('.java') ? await compile(program, jars) : [program, jars]
  const { stdout } = await runProgram('java', [...jvm, ...LOG_TO_CONSOLE, '-cp', classpath, main, ...args(kafka.brokers.join(','))])
  return stdout
}

/** Compiles a program once, since `java Source.java` would spend a second on it at each run; gives its class and classpath. */
async function compile(program: string, jars: string): Promise<[main: string, classpath: string]> {
  const source = join(JAVA_FOLDER, program)
  const version = createHash('sha256')
    .update(await readFile(source))
    .digest('hex')
    .slice(0, 12)
  const main = program.slice(0, -'.java'.length)
  const classes = await cacheFolder(`${main}-${version}-kafka-${KAFKA_VERSION}`, async folder => {
    await runProgram('javac', ['-proc:none', '-cp', jars, '-d', folder, source])
  })
  return [main, `${classes}${delimiter}${jars}`]
}
