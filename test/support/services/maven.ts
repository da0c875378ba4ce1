import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ConfigError, errorMessage } from '../../../src/core/errors.ts'
import { runProgram } from './run-program.ts'

/** A jar by group, artifact and version. */
export type MavenArtifact = readonly [group: string, artifact: string, version: string]

/** Downloads artifacts with all they depend on through Maven, as the environment configures it. @throws ConfigError with what Maven said */
export async function downloadJars(what: string, folder: string, artifacts: readonly MavenArtifact[]): Promise<void> {
  const project = await mkdtemp(join(tmpdir(), 'tidemark-maven-'))
  try {
    const pom = join(project, 'pom.xml')
    await writeFile(pom, pomOf(artifacts))
    process.stderr.write(`Downloading ${what} through Maven, once …\n`)
    const copy = ['dependency:copy-dependencies', `-DoutputDirectory=${folder}`, '-DincludeScope=runtime']
    await runProgram('mvn', ['-q', '-B', '-f', pom, ...copy])
  } catch (error) {
    throw new ConfigError(`The jars of ${what} could not be downloaded through Maven: ${errorMessage(error)}`, { cause: error })
  } finally {
    await rm(project, { recursive: true, force: true })
  }
}

function pomOf(artifacts: readonly MavenArtifact[]): string {
  const dependencies = artifacts.map(
    ([group, artifact, version]) =>
      `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`,
  )
  return [
    '<project><modelVersion>4.0.0</modelVersion>',
    '<groupId>tidemark</groupId><artifactId>jars</artifactId><version>1</version><packaging>pom</packaging>',
    `<dependencies>${dependencies.join('')}</dependencies></project>`,
  ].join('\n')
}
