import { Readable } from 'node:stream'
import type { ReadableStream as NodeWebStream } from 'node:stream/web'
import type { FileStream } from './file-stream.ts'

/** Converts a file stream to a web ReadableStream of bytes; cancelling it destroys the file stream. */
export function toWebStream(stream: FileStream): ReadableStream<Uint8Array> {
  const web: NodeWebStream<Uint8Array> = Readable.toWeb(stream, { strategy: { highWaterMark: 0 } })
  return web as ReadableStream<Uint8Array>
}
