/**
 * How copies of this package know each other's objects: the CLI may load one and a job another, so `instanceof` would lie.
 * The version in the name grows when the shape behind the brand changes.
 */
export const JOB_BRAND: unique symbol = Symbol.for('tidemark.job.v1') as never
