/**
 * How copies of this package know each other's objects: the CLI may load one and a job another, so `instanceof` would lie.
 * The version in the name grows when the shape behind the brand changes.
 */
export const JOB_BRAND: unique symbol = Symbol.for('tidemark.job.v1') as never

/**
 * A function for `map` may bring one under this name that takes a whole array of rows: it gives what the function gives for each of them, or undefined
 * where it cannot, and then they are mapped one by one. What it gives must be the very same.
 */
export const MAP_ARRAY: unique symbol = Symbol.for('tidemark.map-array.v1') as never

/** A function that brings {@link MAP_ARRAY}. */
export type MapsArrays = { readonly [MAP_ARRAY]?: (rows: readonly unknown[]) => readonly unknown[] | undefined }
