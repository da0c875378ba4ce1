export const PARTITIONS = 4
/** Of each partition. */
export const RECORDS = 25

/** Every row of the job. */
export const ALL_ROWS = Array.from({ length: PARTITIONS }, (_, partition) =>
  Array.from({ length: RECORDS }, (_, at) => `${partition}:${at}`),
)
  .flat()
  .sort()
