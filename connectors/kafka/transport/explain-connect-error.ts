import { AuthError, ConfigError, ConnectionError, errorMessage, isTidemarkError, type TidemarkError } from '../../../src/core/errors.ts'

/** Turns what kafkajs throws while connecting into an error that says what is wrong and what to do. */
export function explainConnectError(error: unknown, address: string): TidemarkError {
  if (isTidemarkError(error)) return error
  const name = error instanceof Error ? error.name : ''
  const text = errorMessage(error).replace(/^Connection error: /, '')
  const code = String((error as { code?: unknown } | null)?.code ?? '')
  if (/SASL|Authentication/.test(name) || /SASL .*(failed|not supported|authentication)/i.test(text)) {
    return new AuthError(`Broker ${address} refused the credentials: ${text}. Check sasl.mechanism, username and password.`, {
      cause: error,
    })
  }
  if (
    code.startsWith('ERR_SSL') ||
    code.startsWith('ERR_TLS') ||
    /certificate|self.signed|wrong version number|CERT_|SSL routines/i.test(`${code} ${text}`)
  ) {
    const hint = /wrong version number|packet length/i.test(text)
      ? 'the broker does not speak TLS on that port, while the configuration says ssl'
      : 'check ssl: the certificate must be trusted (ssl.ca) and name the host'
    return new ConfigError(`TLS with broker ${address} failed: ${text}; ${hint}.`, { cause: error })
  }
  if (/^Failed to connect: "config.brokers"|brokers.*(empty|cannot be)/i.test(text)) {
    return new ConfigError(`kafka.brokers is not usable: ${text}.`, { cause: error })
  }
  return new ConnectionError(
    `No connection to Kafka at ${address}: ${text}. Check that a broker listens there and that it can be reached.`,
    {
      cause: error,
    },
  )
}
