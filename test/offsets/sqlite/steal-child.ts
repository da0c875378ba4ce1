// Takes the same stream over a number of times and says each epoch it got.
import { sqliteOffsets } from '../../../offsets/sqlite/index.ts'

const [path = '', times = '0'] = process.argv.slice(2)
await using store = sqliteOffsets({ path })
for (let time = 0; time < Number(times); time++) {
  const { epoch } = await store.acquire('orders', `child-${process.pid}-${time}`, 60_000, { steal: true })
  console.log(epoch)
}
