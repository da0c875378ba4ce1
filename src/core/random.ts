import { randomFillSync } from 'node:crypto'

/** Chance, behind a seam for the same reason as {@link Clock}. */
export interface Random {
  /** A name that no other call gives, anywhere: 16 hexadecimal digits unless another length is asked for. */
  id(digits?: number): string
  /** In [0, 1), for spreading retries. */
  number(): number
}

/** Drawn in one go for many: a batch of ten thousand tasks names as many attempts, and each draw is a call into the system. */
const pool = Buffer.allocUnsafe(4_096)
let digitsLeft = ''
let drawn = 0

export const systemRandom: Random = {
  id(digits = 16) {
    if (drawn + digits > digitsLeft.length) {
      digitsLeft = randomFillSync(pool).toString('hex')
      drawn = 0
    }
    drawn += digits
    return digitsLeft.slice(drawn - digits, drawn)
  },
  number: () => Math.random(),
}
