/** The task of a run. */
export interface WorkerTask {
  readonly name: string
  readonly seed: number
  readonly seconds: number
  readonly executions: number
  readonly resume: boolean
  /** Holds the length of the running input, and the input. */
  readonly shared: SharedArrayBuffer
}

/** The report of a run. */
export interface WorkerReport {
  readonly executions: number
  readonly seconds: number
  readonly outcomes: number
  readonly finding?: { readonly message: string; readonly file: string }
}

/** Offset of the input in the shared memory. */
export const inputOffset = 8
