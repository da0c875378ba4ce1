import { Endpoint } from '../../connectors/http/endpoint.ts'

/** An endpoint that honours keys, for streams of all names: a POST to `/…/<target>` takes rows, a GET gives those of the target. */
export async function openHttpEndpoint(): Promise<Endpoint> {
  const endpoint: Endpoint = await Endpoint.open({
    act: ({ method, path }) => {
      if (method === 'POST') return 'take'
      const bodies = new Map<string, string>()
      for (const each of endpoint.received) {
        if (each.method === 'POST' && each.path === path && !bodies.has(each.key)) bodies.set(each.key, each.text)
      }
      return { status: 200, body: JSON.stringify([...bodies.values()].flatMap(text => JSON.parse(text))) }
    },
  })
  return endpoint
}
