import type { IncomingMessage, ServerResponse } from 'node:http'
import { HttpError } from './respond.ts'
import { tooMany } from './slots.ts'

/** Bytes of a body's first block and of later ones. */
const firstBytes = 4096
const blockBytes = 64 << 10

/** Receives request bodies, within a limit of memory for all bodies together; a body counts until its request is answered. */
export class Bodies {
  readonly #mostBytes: number
  #bytes = 0

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes
  }

  /** Bytes of memory that bodies occupy. */
  get bytes(): number {
    return this.#bytes
  }

  /**
   * Reads the body of a request.
   * @throws HttpError 413 when it is longer than `maxBytes`, 400 when it ends early, 503 when all bodies together exceed the limit.
   */
  async read(request: IncomingMessage, response: ServerResponse, maxBytes: number): Promise<Buffer> {
    const tooLong = new HttpError(413, `the body may have at most ${maxBytes} bytes`, { connection: 'close' })
    if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLong
    const body = new Body()
    let reserved = 0
    const giveBack = (): void => {
      this.#bytes -= reserved
      reserved = 0
    }
    response.once('close', giveBack)
    await new Promise<void>((resolve, reject) => {
      const refuse = (fault: HttpError): void => {
        request.off('data', onData).resume()
        giveBack()
        reject(fault)
      }
      const onData = (chunk: Buffer): void => {
        const more = body.missing(chunk.length)
        if (body.length + chunk.length > maxBytes) refuse(tooLong)
        else if (this.#bytes + more > this.#mostBytes)
          refuse(tooMany('bytes are being received', { connection: 'close' }))
        else {
          this.#bytes += more
          reserved += more
          body.add(chunk)
        }
      }
      request.on('data', onData)
      request.once('end', resolve)
      request.once('error', (cause) => reject(new HttpError(400, cause.message)))
      request.once('close', () => reject(new HttpError(400, 'the body ended early')))
    })
    return body.join()
  }
}

/** One body, copied into blocks, because it may arrive in millions of chunks of one byte. */
class Body {
  length = 0
  readonly #blocks: Buffer[] = []
  /** Free bytes of the last block. */
  #free = 0

  /** Returns how many bytes of memory must be allocated before a chunk of `bytes` bytes fits; 0 if it fits now. */
  missing(bytes: number): number {
    return bytes <= this.#free ? 0 : this.#blockFor(bytes - this.#free)
  }

  add(chunk: Buffer): void {
    const fits = Math.min(this.#free, chunk.length)
    this.#append(chunk.subarray(0, fits))
    if (fits === chunk.length) return
    const block = Buffer.allocUnsafeSlow(this.#blockFor(chunk.length - fits))
    this.#blocks.push(block)
    this.#free = block.length
    this.#append(chunk.subarray(fits))
  }

  /** Returns all bytes in one buffer and releases the blocks. */
  join(): Buffer {
    return Buffer.concat(this.#blocks.splice(0), this.length)
  }

  #blockFor(bytes: number): number {
    return Math.max(bytes, this.#blocks.length === 0 ? firstBytes : blockBytes)
  }

  #append(bytes: Buffer): void {
    const block = this.#blocks.at(-1)
    if (block !== undefined) bytes.copy(block, block.length - this.#free)
    this.#free -= bytes.length
    this.length += bytes.length
  }
}
