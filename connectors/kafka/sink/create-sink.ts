import { ConfigError, isTidemarkError } from '../../../src/core/errors.ts'
import { type CompleteKafkaSourceOptions, completeOptions } from '../options.ts'
import { KafkaSink } from './kafka-sink.ts'
import { completeSinkOptions, type KafkaSinkOptions } from './options.ts'

/**
 * Rows into a topic, exactly once: a task's rows and its ledger record are one Kafka transaction, so a reader under `read_committed` sees each row once,
 * whatever crashes. What it needs on the cluster: the topic, a compacted ledger topic that it makes itself, and the right to use transactional ids that
 * begin with `tidemark-`.
 *
 * A row that is a record passes through with key, value, headers and time; of any other the JSON is written, under the batch's time. Rows of one key
 * keep their order.
 *
 * Throws `ConfigError` for wrong options; connects only once the stream starts.
 */
export function kafkaSink<Row = unknown>(options: KafkaSinkOptions<Row>): KafkaSink<Row> {
  const complete = completeSinkOptions(options)
  return new KafkaSink(complete, ledgerReaderOptions(complete))
}

function ledgerReaderOptions({
  kafka,
  ledgerTopic,
}: Pick<KafkaSinkOptions<never>, 'kafka'> & { ledgerTopic: string }): CompleteKafkaSourceOptions {
  try {
    return completeOptions({ kafka, topics: [ledgerTopic], isolation: 'read_uncommitted' })
  } catch (error) {
    // What is wrong can only be the connection, and it was given to this function.
    if (!isTidemarkError(error, 'CONFIG')) throw error
    throw new ConfigError(error.message.replace(/^kafkaSource/, 'kafkaSink'), { details: { ...error.details, where: 'kafkaSink' } })
  }
}
