import { AuthError, ConfigError, ConnectionError, errorMessage, isTidemarkError, type TidemarkError } from '../core/errors.ts'

/** To where a connection failed, and how the configuration wanted it. */
export type ConnectionTried = { readonly address: string; readonly hasTls?: boolean; readonly hasSasl?: boolean }

/** Larger than any answer to the first requests of a connection; text read as a size is far beyond it. */
const LARGEST_FIRST_ANSWER_BYTES = 1 << 24

/** Turns what kafkajs throws while connecting into an error that says what is wrong and what to do. */
export function explainConnectError(cause: unknown, { address, hasTls = false, hasSasl = false }: ConnectionTried): TidemarkError {
  if (isTidemarkError(cause)) return cause
  const { name = '', code = '', type = '' } = (cause ?? {}) as { readonly name?: string; readonly code?: string; readonly type?: string }
  // OpenSSL's messages end in a new line, kafkajs' in a full stop or not.
  const text = errorMessage(cause)
    .replace(/^(Connection error|Failed to connect): /, '')
    .replace(/[\s.]+$/, '')
  if (type === 'ILLEGAL_SASL_STATE') {
    return new AuthError(
      `Broker ${address} takes no SASL login on that port: ${text}. Remove kafka.sasl, or name the port of its SASL listener.`,
      {
        cause,
      },
    )
  }
  if (/SASL|Authentication/.test(`${name} ${type}`) || /SASL .*(failed|not supported|authentication)/i.test(text)) {
    return new AuthError(`Broker ${address} refused the credentials: ${text}. Check sasl.mechanism, username and password.`, { cause })
  }
  if (/wrong version number|packet length/i.test(text)) {
    return new ConfigError(`Broker ${address} does not speak TLS on that port, and kafka.ssl is set. Remove it, or name the TLS port.`, {
      cause,
    })
  }
  if (/^ERR_(SSL|TLS)|certificate|self.signed|CERT_|SSL routines/i.test(`${code} ${text}`)) {
    return new ConfigError(
      `TLS with broker ${address} failed: ${text}. Check kafka.ssl: the certificate must be trusted (ssl.ca) and name the host.`,
      { cause },
    )
  }
  if (/brokers? .*(empty|null|invalid)|Port should be/i.test(text)) {
    return new ConfigError(
      `kafka.brokers is not usable: ${text}. It takes a list such as ['localhost:9092'], or a function that gives one.`,
      {
        cause,
      },
    )
  }
  return new ConnectionError(`No connection to Kafka at ${address}: ${text}. ${hint(text, hasTls, hasSasl)}`, { cause })
}

/** Says what answers at `address` when the first bytes of it are none of a broker. */
export function explainFirstBytes(address: string): (bytes: Buffer) => TidemarkError | undefined {
  return bytes => {
    const size = bytes.readInt32BE(0)
    if (size >= 4 && size <= LARGEST_FIRST_ANSWER_BYTES) return undefined
    const isTls = (bytes[0] === 0x15 || bytes[0] === 0x16) && bytes[1] === 3
    if (isTls) {
      return new ConfigError(
        `Broker ${address} speaks TLS on that port, and kafka.ssl is not set. Set it, or name the port of a listener without TLS.`,
      )
    }
    const [line = ''] = bytes.toString('latin1', 0, 60).split(/[\r\n]/)
    return new ConfigError(
      `What answers at ${address} is not a Kafka broker: it begins with ${JSON.stringify(line)}. Check the address in kafka.brokers.`,
    )
  }
}

function hint(text: string, hasTls: boolean, hasSasl: boolean): string {
  if (text.startsWith('"config.brokers" threw')) return 'kafka.brokers is a function, and that is what it threw.'
  if (hasTls && /before secure TLS connection/.test(text)) {
    return 'A port without TLS ends a connection like that: check that kafka.ssl fits the port, or whether the broker is just starting.'
  }
  if (/closed/i.test(text)) {
    return `It was closed at once: check that the listener there wants ${hasTls ? 'TLS' : 'no TLS'} and ${hasSasl ? 'SASL' : 'no SASL'}, as the configuration says.`
  }
  return 'Check that a broker listens there and that it can be reached.'
}
