/** Where `keytool` keeps the key of the SASL_SSL listener and writes its certificate. */
export type CertificateFiles = { readonly keystore: string; readonly keystorePassword: string; readonly certificate: string }

const ALIAS = 'tidemark'

/**
 * The two command lines of the JDK's `keytool` that make a self-signed certificate for `localhost` and 127.0.0.1: clients take it as
 * its own certificate authority.
 */
export function keytoolCommands({ keystore, keystorePassword, certificate }: CertificateFiles): string[][] {
  const store = ['-keystore', keystore, '-storetype', 'PKCS12', '-storepass', keystorePassword, '-alias', ALIAS]
  return [
    [
      'keytool',
      '-genkeypair',
      ...store,
      ...['-keyalg', 'EC', '-groupname', 'secp256r1', '-validity', '30', '-dname', 'CN=localhost'],
      ...['-ext', 'san=dns:localhost,ip:127.0.0.1', '-ext', 'bc:critical=ca:true'],
    ],
    ['keytool', '-exportcert', '-rfc', ...store, '-file', certificate],
  ]
}
