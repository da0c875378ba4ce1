import { randomBytes } from 'node:crypto'

/** Chance, behind a seam for the same reason as {@link Clock}. */
export interface Random {
  /** A name that no other call gives, anywhere: 16 hexadecimal digits unless another length is asked for. */
  id(digits?: number): string
  /** In [0, 1), for spreading retries. */
  number(): number
}

export const systemRandom: Random = {
  id: (digits = 16) =>
    randomBytes(Math.ceil(digits / 2))
      .toString('hex')
      .slice(0, digits),
  number: () => Math.random(),
}
