import type { Service } from './service.ts'

/** How a server is run in a container. */
export type ContainerRecipe = {
  readonly name: string
  readonly image: string
  readonly port: number
  readonly environment?: Readonly<Record<string, string>>
  readonly command?: readonly string[]
  readonly address: (host: string, port: number) => string
}

/** Starts a server in a container on a fixed port; testcontainers removes it when this process ends, however it does. */
export async function startInContainer(host: string, port: number, recipe: ContainerRecipe): Promise<Service> {
  const { GenericContainer, getContainerRuntimeClient } = await import('testcontainers')
  const made = new GenericContainer(recipe.image)
    .withExposedPorts({ container: recipe.port, host: port })
    .withEnvironment({ ...recipe.environment })
  const container = await (recipe.command === undefined ? made : made.withCommand([...recipe.command])).start()
  const engine = (await getContainerRuntimeClient()).container
  const handle = engine.getById(container.getId())
  const close = async () => {
    await container.stop({ remove: true })
  }
  return {
    origin: `${recipe.name} in a container of ${recipe.image}`,
    address: recipe.address(host, port),
    stop: async () => {
      await handle.stop()
    },
    kill: async () => {
      await handle.kill({ signal: 'SIGKILL' })
    },
    start: async () => {
      await handle.start()
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}
