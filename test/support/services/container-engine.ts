import { ConfigError } from '../../../src/core/errors.ts'

// testcontainers is loaded on use only: loading it takes longer than everything else of a test run without it.

/** The Docker engine that answers, or why none does. */
export async function findContainerEngine(): Promise<{ readonly host: string } | { readonly reason: string }> {
  const { getContainerRuntimeClient } = await import('testcontainers')
  try {
    const client = await getContainerRuntimeClient()
    return { host: client.info.containerRuntime.host }
  } catch (error) {
    return { reason: error instanceof Error ? error.message : String(error) }
  }
}

/**
 * Runs a command in a running container, from any process, and gives what it printed.
 *
 * @throws ConfigError with what it said, when it did not end with 0
 */
export async function execInContainer(containerId: string, command: string[]): Promise<string> {
  const { getContainerRuntimeClient } = await import('testcontainers')
  const { container } = await getContainerRuntimeClient()
  const { stdout, stderr, exitCode } = await container.exec(container.getById(containerId), command)
  if (exitCode !== 0) throw new ConfigError(`${command[0]} failed in its container (${exitCode}): ${stderr || stdout}`)
  return stdout
}
