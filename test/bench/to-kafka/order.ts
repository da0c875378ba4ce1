/** What the bench's topics hold, and what becomes of it: the same in every contestant. */
export type Order = { readonly id: number; readonly user: string; readonly amount: number; readonly note: string }
export type Payment = { readonly id: number; readonly user: string; readonly cents: number }

export function toPayment({ id, user, amount }: Order): Payment {
  return { id, user, cents: Math.round(amount * 100) }
}
