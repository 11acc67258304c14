import type { Range } from '../metainfo/layout.ts'

/** The window of a stream: the pieces that its reader wants next. */
export interface ByteWindow {
  /** The pieces `[start, end)` from the cursor on. */
  readonly pieces: Range
  /** How fast the reader consumes, for deadlines. */
  readonly bytesPerMs: number
  /** Whether the reader waits for the first piece now. One that does not may have stopped reading, and then others come first. */
  readonly waiting: boolean
  /** The window at the same reader's cursor: this one's first piece is needed `delayMs` after that one's. */
  readonly behind?: number
  /** The reader comes to the first piece this much later than at once; 0 by default. */
  readonly delayMs?: number
}
