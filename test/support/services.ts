import { inject } from 'vitest'

/** Where the services are that tests share: plain data that goes from vitest's main process to those that run tests. */
export type ServiceAddresses = { readonly postgres: string; readonly redis: string; readonly zookeeper: string }

/** The services that tests share; everybody uses names of their own in them. Tests that stop a server start one: `startPostgres({ own: true })`. */
export function services(): ServiceAddresses {
  return inject('services')
}
