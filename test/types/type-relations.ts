/** Whether two types are the same to the compiler, `readonly` and optional included. */
export type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

/** Whether a value of `From` may be given where `To` is asked for. */
export type Fits<From, To> = [From] extends [To] ? true : false

/** Compiles only where the relation holds: `holds<Same<A, B>>()`. */
export function holds<_Relation extends true>(): void {}

/** Compiles only where the relation does not hold. */
export function fails<_Relation extends false>(): void {}
