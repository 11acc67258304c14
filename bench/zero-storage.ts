import type { Storage } from '../lib/index.ts'

/** A storage that discards all writes and reads zeros, for torrents of zeros. */
export class ZeroStorage implements Storage {
  async open(): Promise<void> {}
  async read(_byteOffset: number, target: Uint8Array): Promise<number> {
    target.fill(0)
    return target.length
  }
  async write(): Promise<void> {}
  async sync(): Promise<void> {}
  async close(): Promise<void> {}
  async delete(): Promise<void> {}
}
