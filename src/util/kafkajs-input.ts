import { z } from 'zod'

/** As kafkajs takes a broker: it cuts at the first colon. */
const HOST_AND_PORT = /^[^:]+:\d{1,5}$/

/** Whether it is a `Kafka` of any copy of kafkajs, known by its shape, and not the configuration of one. */
export function isKafkajsClient(input: object): boolean {
  return 'admin' in input && typeof input.admin === 'function'
}

/** The schema of an option that takes kafkajs' configuration, or the client made of it; `Input` is that union as kafkajs types it. */
export function kafkajsInput<Input extends object>() {
  return z
    .custom<Input>(isObject, { error: "kafkajs' configuration with at least { brokers: ['host:port'] }, or a Kafka made of it" })
    .superRefine((kafka, context) => {
      for (const { path, message } of brokerMistakes(kafka)) context.addIssue({ code: 'custom', path, message })
    })
}

/** The addresses that kafkajs' configuration lists; undefined for a client, and where they are found by a function. */
export function listedBrokers(input: object): readonly string[] | undefined {
  return 'brokers' in input && Array.isArray(input.brokers) ? input.brokers : undefined
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null
}

/** What is wrong with the brokers of kafkajs' configuration, each with where it is: a setting that is missing makes one of them undefined. */
function brokerMistakes(kafka: object): { readonly path: PropertyKey[]; readonly message: string }[] {
  if (isKafkajsClient(kafka)) return []
  const brokers: unknown = 'brokers' in kafka ? kafka.brokers : undefined
  if (typeof brokers === 'function') return []
  if (!Array.isArray(brokers) || brokers.length === 0) {
    return [{ path: ['brokers'], message: "expected a list of brokers, as in { brokers: ['host:port'] }, or a function that gives one" }]
  }
  return brokers.flatMap((broker, at) => {
    if (typeof broker === 'string' && HOST_AND_PORT.test(broker)) return []
    return [{ path: ['brokers', at], message: "expected a broker's address, as in { brokers: ['host:port'] }" }]
  })
}
