import type { Range } from '../metainfo/layout.ts'

/** The readahead window of a stream: the pieces that its reader needs next. */
export interface ByteWindow {
  /** The pieces `[start, end)` from the cursor on. */
  readonly pieces: Range
  /** Rate at which the reader consumes, for deadlines. */
  readonly bytesPerMs: number
  /** Whether the reader waits for the first piece now. A reader that does not wait may be paused, so waiting readers come first. */
  readonly waiting: boolean
  /** Id of the window at the same reader's cursor; the first piece of this window is needed `delayMs` after the first piece of that one. */
  readonly behind?: number
  /** Milliseconds until the reader needs the first piece, or after the first piece of `behind`; default 0. */
  readonly delayMs?: number
}
