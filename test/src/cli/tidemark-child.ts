// What bin/tidemark.js does, with the sources instead of what is built of them.
import { main } from '../../../src/cli/main.ts'

await main(process.argv)
