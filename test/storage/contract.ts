import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Layout } from '../../lib/metainfo/layout.ts'
import type { FileEntry } from '../../lib/metainfo/metainfo.ts'
import type { Storage } from '../../lib/storage/storage.ts'

/** Factory of one storage implementation for the suite. */
export interface StorageMaker {
  /** Makes an unopened storage that shares nothing with earlier ones. */
  make(): Promise<Storage> | Storage
  /** Releases, after each test, everything that `make` set up beside the storage. */
  cleanUp?(): Promise<void> | void
}

/** One file of a layout made by {@link layoutOf}. */
export type FileSketch = readonly [path: string, length: number, kind?: 'pad' | 'executable']

/** Returns a layout of consecutive files. */
export function layoutOf(pieceLength: number, files: readonly FileSketch[]): Layout {
  let offset = 0
  const entries = files.map(([path, length, kind]): FileEntry => {
    const entry = {
      path,
      name: path.slice(path.lastIndexOf('/') + 1),
      length,
      offset,
      pad: kind === 'pad',
      executable: kind === 'executable',
      hidden: false
    }
    offset += length
    return entry
  })
  return new Layout(pieceLength, entries)
}

/** Returns bytes that differ at every offset and repeat under no shift. */
export function pattern(byteOffset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let index = 0; index < length; index++) {
    const at = byteOffset + index
    bytes[index] = (at * 31 + (at >>> 8) * 17 + (at >>> 16) * 7 + 1) & 0xff
  }
  return bytes
}

/** Reads a range and returns the stored bytes. */
export async function readBytes(storage: Storage, byteOffset: number, length: number): Promise<Uint8Array> {
  const target = new Uint8Array(length).fill(0xee)
  return target.subarray(0, await storage.read(byteOffset, target))
}

/** Registers the tests that every {@link Storage} passes. */
export function testStorage(name: string, { make, cleanUp }: StorageMaker): void {
  const layout = layoutOf(32768, [
    ['t/one', 40000],
    ['t/empty', 0],
    ['t/.pad/25536', 25536, 'pad'],
    ['t/deep/er/two', 70001],
    ['t/byte', 1],
    ['t/last', 3_000_000]
  ])
  const all = layout.files.map(() => true)
  const contract = (title: string, body: (storage: Storage) => Promise<void>): void => {
    test(`${name}: ${title}`, async () => {
      const storage = await make()
      try {
        await body(storage)
      } finally {
        await storage.close()
        await cleanUp?.()
      }
    })
  }
  const withoutPad = (byteOffset: number, length: number): Uint8Array => {
    const bytes = pattern(byteOffset, length)
    const from = Math.max(0, 40000 - byteOffset)
    const to = Math.max(0, 65536 - byteOffset)
    return bytes.fill(0, from, to)
  }

  contract('written bytes are read, across every boundary', async (storage) => {
    await storage.open(layout, all)
    await storage.write(0, [pattern(0, layout.length)])
    for (const [byteOffset, length] of [
      [0, 10],
      [39990, 30],
      [65530, 10],
      [135535, 5],
      [0, layout.length],
      [layout.length - 1, 1]
    ] as const) {
      assert.deepEqual(await readBytes(storage, byteOffset, length), withoutPad(byteOffset, length))
    }
  })

  contract('nothing exists before it is written, nor beyond the end', async (storage) => {
    await storage.open(layout, all)
    assert.equal((await readBytes(storage, 0, 100)).length, 0)
    assert.equal((await readBytes(storage, layout.length - 10, 10)).length, 0)
    await storage.write(layout.length - 10, [pattern(0, 10)])
    assert.equal((await readBytes(storage, layout.length - 10, 100)).length, 10)
    assert.equal((await readBytes(storage, layout.length, 10)).length, 0)
    assert.equal((await readBytes(storage, layout.length + 10, 10)).length, 0)
    await storage.write(5, [])
    assert.equal((await readBytes(storage, 0, 0)).length, 0)
  })

  contract('pad bytes read as zeros after any write', async (storage) => {
    await storage.open(layout, all)
    assert.deepEqual(await readBytes(storage, 40000, 25536), new Uint8Array(25536))
    await storage.write(40000, [pattern(0, 25536)])
    assert.deepEqual(await readBytes(storage, 50000, 100), new Uint8Array(100))
  })

  contract('many chunks are one run of bytes, empty ones among them', async (storage) => {
    await storage.open(layout, all)
    const chunks = []
    for (let at = 0; at < 120000; at += 997) {
      chunks.push(pattern(at, Math.min(997, 120000 - at)), new Uint8Array(0))
    }
    await storage.write(0, chunks)
    assert.deepEqual(await readBytes(storage, 0, 120000), withoutPad(0, 120000))
  })

  contract('a later write replaces an earlier one', async (storage) => {
    await storage.open(layout, all)
    await storage.write(1000, [new Uint8Array(3000).fill(1)])
    await storage.write(2000, [new Uint8Array(1000).fill(2)])
    const bytes = await readBytes(storage, 1000, 3000)
    assert.deepEqual([bytes[999], bytes[1000], bytes[1999], bytes[2000], bytes.length], [1, 2, 2, 1, 3000])
  })

  contract('overlapping calls do not disturb each other', async (storage) => {
    await storage.open(layout, all)
    const length = 16384
    const offsets = Array.from({ length: 60 }, (_, index) => 65536 + ((index * 37) % 60) * length)
    await Promise.all(
      offsets.map(async (byteOffset, index) => {
        await storage.write(byteOffset, [pattern(byteOffset, length)])
        assert.deepEqual(await readBytes(storage, byteOffset, length), pattern(byteOffset, length))
        if (index % 20 === 0) await storage.sync()
      })
    )
    assert.deepEqual(await readBytes(storage, 65536, 60 * length), pattern(65536, 60 * length))
  })

  contract('bytes of unwanted files stay readable, before and after they become wanted', async (storage) => {
    await storage.open(layout, [true, false, true, false, false, true])
    const start = 60000
    const length = 100000
    await storage.write(start, [pattern(start, length)])
    assert.deepEqual(await readBytes(storage, start, length), withoutPad(start, length))
    await storage.select?.(all)
    assert.deepEqual(await readBytes(storage, start, length), withoutPad(start, length))
    await storage.select?.(layout.files.map(() => false))
    assert.deepEqual(await readBytes(storage, start, length), withoutPad(start, length))
  })

  contract('a range beyond the torrent cannot be written', async (storage) => {
    await storage.open(layout, all)
    await assert.rejects(storage.write(layout.length - 1, [new Uint8Array(2)]), RangeError)
    await assert.rejects(storage.write(-1, [new Uint8Array(2)]), RangeError)
    await assert.rejects(storage.read(0.5, new Uint8Array(2)), RangeError)
  })

  contract('an aborted read rejects with the reason of its signal', async (storage) => {
    await storage.open(layout, all)
    const reason = new Error('enough')
    await assert.rejects(storage.read(0, new Uint8Array(10), AbortSignal.abort(reason)), reason)
  })

  contract('close waits for pending calls, may be repeated, and ends everything', async (storage) => {
    await storage.open(layout, all)
    const chunk = pattern(0, 1 << 20)
    const outcome = storage.write(65536, [chunk]).then(
      () => 'written',
      (error: { code?: string }) => error.code
    )
    await Promise.all([storage.close(), storage.close()])
    assert.ok(['written', 'ERR_STORAGE_CLOSED'].includes(String(await outcome)))
    const closed = { name: 'TorrentError', code: 'ERR_STORAGE_CLOSED' }
    await assert.rejects(storage.read(0, new Uint8Array(1)), closed)
    await assert.rejects(storage.write(0, [new Uint8Array(1)]), closed)
    await assert.rejects(storage.sync(), closed)
    await assert.rejects(storage.delete(), closed)
    await assert.rejects(storage.open(layout, all), closed)
  })

  contract('nothing works before open', async (storage) => {
    await assert.rejects(storage.read(0, new Uint8Array(1)), { code: 'ERR_STORAGE_CLOSED' })
    await storage.close()
  })

  contract('delete closes', async (storage) => {
    await storage.open(layout, all)
    await storage.write(0, [pattern(0, 1000)])
    await storage.delete()
    await assert.rejects(storage.read(0, new Uint8Array(1)), { code: 'ERR_STORAGE_CLOSED' })
  })

  contract('a torrent without bytes opens and closes', async (storage) => {
    await storage.open(layoutOf(16384, [['nothing', 0]]), [true])
    assert.equal((await readBytes(storage, 0, 10)).length, 0)
    await storage.sync()
  })
}
