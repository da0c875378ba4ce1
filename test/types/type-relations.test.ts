import { expect, test } from 'vitest'
import { type Fits, fails, holds, type Same } from './type-relations.ts'

test('the relations that the type tests rest on tell true from false', () => {
  holds<Same<{ readonly a?: 1 }, { readonly a?: 1 }>>()
  holds<Fits<{ a: 1; b: 2 }, { a: number }>>()
  fails<Same<{ readonly a: 1 }, { a: 1 }>>()
  fails<Fits<{ a: number }, { a: 1 }>>()
  // @ts-expect-error they differ
  holds<Same<{ a?: 1 }, { a: 1 | undefined }>>()
  // @ts-expect-error any is nothing else
  // biome-ignore lint/suspicious/noExplicitAny: it is what the relation must not be fooled by
  holds<Same<any, string>>()
  // @ts-expect-error it fits
  fails<Fits<1, number>>()
  expect(holds).toBeTypeOf('function')
})
