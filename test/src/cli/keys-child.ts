// Hears keys as a backfill does, and says what is in the file that it is given when that changes; `end` ends it.
import { readFileSync } from 'node:fs'
import { hearKeys } from '../../../src/cli/keys.ts'

const [file = ''] = process.argv.slice(2)
const stopHearing = hearKeys(key => console.log(`key ${key}`))
let said = ''
const timer = setInterval(() => {
  const text = readFileSync(file, 'utf8')
  if (text !== said) console.log(`told ${text}`)
  said = text
  if (text !== 'end') return
  clearInterval(timer)
  stopHearing()
}, 20)
