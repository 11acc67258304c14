// A custom storage: it wraps another one and encrypts the stored bytes (AES-256 in counter mode, by offset).
//   node dist/examples/custom-storage.js <source> <folder> <password> [peer]
// Counter mode keeps bytes secret as long as they are written once. Someone with write access to the files can still flip bits; the torrent's
// hashes detect that.
import { createCipheriv, scryptSync } from 'node:crypto'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Client, FileStorage, type Layout, type Storage } from 'piecewise'

const cipherBlockLength = 16

/** Encrypts the bytes in another storage. It has no `segments`, because hash workers could not read the encrypted bytes. */
export class EncryptedStorage implements Storage {
  readonly #inner: Storage
  /** 32 bytes. */
  readonly #key: Uint8Array
  #layout: Layout | undefined

  constructor(inner: Storage, key: Uint8Array) {
    this.#inner = inner
    this.#key = key
  }

  async open(layout: Layout, wanted: readonly boolean[]): Promise<void> {
    await this.#inner.open(layout, wanted)
    this.#layout = layout
  }

  async select(wanted: readonly boolean[]): Promise<void> {
    await this.#inner.select?.(wanted)
  }

  async read(byteOffset: number, target: Uint8Array, signal?: AbortSignal): Promise<number> {
    const count = await this.#inner.read(byteOffset, target, signal)
    const there = target.subarray(0, count)
    // Padding is not stored: it reads as zeros, which must not be decrypted.
    const plain = this.#apply(byteOffset, there)
    let at = 0
    for (const { fileIndex, length } of this.#layout?.spans({ start: byteOffset, end: byteOffset + count }) ??
      []) {
      if (this.#layout?.files[fileIndex]?.pad === false) there.set(plain.subarray(at, at + length), at)
      at += length
    }
    return count
  }

  async write(byteOffset: number, chunks: readonly Uint8Array[]): Promise<void> {
    let at = byteOffset
    const encrypted = chunks.map((chunk) => {
      const bytes = this.#apply(at, chunk)
      at += chunk.length
      return bytes
    })
    await this.#inner.write(byteOffset, encrypted)
  }

  sync(): Promise<void> {
    return this.#inner.sync()
  }

  close(): Promise<void> {
    return this.#inner.close()
  }

  delete(): Promise<void> {
    return this.#inner.delete()
  }

  /** Encrypts or decrypts into new memory: XORs the bytes with the key stream of their offset. */
  #apply(byteOffset: number, bytes: Uint8Array): Uint8Array {
    if (bytes.length === 0 || byteOffset < 0) return bytes
    const counter = Buffer.alloc(cipherBlockLength)
    counter.writeBigUInt64BE(BigInt(Math.floor(byteOffset / cipherBlockLength)), 8)
    const cipher = createCipheriv('aes-256-ctr', this.#key, counter)
    cipher.update(Buffer.alloc(byteOffset % cipherBlockLength))
    return cipher.update(bytes)
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [source = '', path = '.', password = '', ...peers] = process.argv.slice(2)
  const client = new Client({ host: process.env['HOST'] })
  const storage = new EncryptedStorage(
    new FileStorage({ path, partsPath: join(path, '.parts') }),
    scryptSync(password, 'piecewise example', 32)
  )
  const torrent = await client.add(source, { peers, storage })
  await torrent.whenDone()
  console.log(`${torrent.name}: ${torrent.downloaded} bytes, encrypted in ${path}`)
  await client.close()
}
