// A bare seeder: the minimum that Node must do to send a torrent of one file to honest leechers. Answers requests in order, from pages that it
// reads as needed, without checks.
//   node bare-seeder-process.js '{"file", "infoHash", "pieceLength", "length"}'
// Prints its port as a JSON list.
import { openSync, readSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'

/** The torrent to seed. */
export interface BareSeedTask {
  readonly file: string
  /** Hexadecimal. */
  readonly infoHash: string
  readonly pieceLength: number
  readonly length: number
}

const pageLength = 1 << 20
/** Bytes that a socket may hold before its requests wait. */
const mostQueued = 1 << 20
/** Pages per socket, used in rotation: those that may still be in the socket, and one more. */
const pagesOfSocket = 4

const task: BareSeedTask = JSON.parse(process.argv[2] ?? '')
const pieceCount = Math.ceil(task.length / task.pieceLength)
const handle = openSync(task.file, 'r')

class Upload {
  readonly #socket: Socket
  readonly #pages: { readonly memory: Buffer; index: number }[] = []
  #rest: Buffer = Buffer.alloc(0)
  #greeted = false
  /** Piece and offset of each waiting request. */
  readonly #waiting: number[] = []

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk) => this.#receive(chunk))
    socket.on('drain', () => this.#send())
    socket.on('error', () => {})
  }

  #receive(chunk: Buffer): void {
    let data: Buffer = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    if (!this.#greeted) {
      if (data.length < 68) {
        this.#rest = data
        return
      }
      this.#greeted = true
      data = data.subarray(68)
      this.#greet()
    }
    let at = 0
    while (data.length - at >= 4) {
      const length = data.readUInt32BE(at)
      if (data.length - at < 4 + length) break
      const id = data[at + 4]
      if (length > 0 && id === 6) this.#waiting.push(data.readUInt32BE(at + 5), data.readUInt32BE(at + 9))
      else if (length > 0 && id === 2) this.#socket.write(Buffer.from([0, 0, 0, 1, 1]))
      at += 4 + length
    }
    this.#rest = data.subarray(at)
    this.#send()
  }

  #greet(): void {
    const handshake = Buffer.alloc(68)
    handshake.write('\x13BitTorrent protocol', 0, 'latin1')
    handshake.write(task.infoHash, 28, 'hex')
    handshake.fill(66, 48)
    const bitfield = Buffer.alloc(5 + Math.ceil(pieceCount / 8), 0xff)
    bitfield.writeUInt32BE(bitfield.length - 4)
    bitfield[4] = 5
    const spare = (bitfield.length - 5) * 8 - pieceCount
    bitfield[bitfield.length - 1] = (0xff << spare) & 0xff
    this.#socket.write(handshake)
    this.#socket.write(bitfield)
  }

  #send(): void {
    this.#socket.cork()
    let sent = 0
    while (sent < this.#waiting.length && this.#socket.writableLength < mostQueued) {
      const piece = this.#waiting[sent++] ?? 0
      const offset = this.#waiting[sent++] ?? 0
      const start = piece * task.pieceLength + offset
      const block = this.#block(start, Math.min(16_384, task.length - start))
      const header = Buffer.allocUnsafe(13)
      header.writeUInt32BE(9 + block.length)
      header[4] = 7
      header.writeUInt32BE(piece, 5)
      header.writeUInt32BE(offset, 9)
      this.#socket.write(header)
      this.#socket.write(block)
    }
    this.#waiting.splice(0, sent)
    this.#socket.uncork()
  }

  #block(start: number, length: number): Buffer {
    const index = Math.floor(start / pageLength)
    let page = this.#pages.find((one) => one.index === index)
    if (page === undefined) {
      page = this.#pages.length < pagesOfSocket ? undefined : this.#pages.shift()
      page ??= { memory: Buffer.allocUnsafeSlow(pageLength), index }
      page.index = index
      readSync(handle, page.memory, 0, pageLength, index * pageLength)
      this.#pages.push(page)
    }
    return page.memory.subarray(start - index * pageLength, start - index * pageLength + length)
  }
}

const server = createServer({ noDelay: true }, (socket) => new Upload(socket))
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify([(server.address() as AddressInfo).port])))
process.stdin.resume().on('end', () => process.exit(0))
