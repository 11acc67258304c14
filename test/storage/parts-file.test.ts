import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { PartsFile } from '../../lib/storage/parts-file.ts'
import { RealFolders } from '../../lib/storage/real-folders.ts'
import { nodeFs } from '../../lib/storage/storage-fs.ts'
import { fc } from '../support/fast-check.ts'
import { pattern } from './contract.ts'

const torrentLength = 2 ** 41

/** Runs a test with a parts file of its own. */
function partsTest(
  title: string,
  body: (path: string, open: (length?: number) => Promise<PartsFile>) => Promise<void>
): void {
  test(title, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'piecewise-parts-'))
    const path = join(folder, 'deep/x.parts')
    const all: PartsFile[] = []
    try {
      await body(path, async (length = torrentLength) => {
        const parts = new PartsFile({
          fs: nodeFs,
          folders: new RealFolders({ fs: nodeFs, root: dirname(path) }),
          path,
          layoutLength: length,
          readOnly: false
        })
        all.push(parts)
        await parts.open()
        return parts
      })
    } finally {
      await Promise.all(all.map((parts) => parts.close()))
      rmSync(folder, { recursive: true, force: true })
    }
  })
}

/** Returns the kept bytes of a range; undefined where none are kept. */
async function bytesOf(parts: PartsFile, start: number, end: number): Promise<(number | undefined)[]> {
  const bytes: (number | undefined)[] = []
  for (let at = start; at < end; at++) {
    const kept = parts.find(at)
    const target = new Uint8Array(1)
    bytes.push(kept !== undefined && (await parts.read(kept.position, target)) === 1 ? target[0] : undefined)
  }
  return bytes
}

partsTest('overlapping writes in any order read like one array', async (path, open) => {
  const write = fc.record({
    start: fc.integer({ min: 0, max: 60 }),
    length: fc.integer({ min: 1, max: 20 }),
    fill: fc.nat(255)
  })
  await fc.assert(
    fc.asyncProperty(fc.array(write, { maxLength: 12 }), async (writes) => {
      rmSync(path, { force: true })
      const parts = await open()
      const model: (number | undefined)[] = Array.from({ length: 90 }, () => undefined)
      for (const { start, length, fill } of writes) {
        await parts.write(2 ** 40 + start, new Uint8Array(length).fill(fill))
        model.fill(fill, start, start + length)
      }
      assert.deepEqual(await bytesOf(parts, 2 ** 40, 2 ** 40 + 90), model)
      await parts.close()
      const again = await open()
      assert.deepEqual(await bytesOf(again, 2 ** 40, 2 ** 40 + 90), model)
      assert.deepEqual(again.ranges, parts.ranges)
      await again.close()
    }),
    { numRuns: 25 }
  )
})

partsTest('a file torn at any byte keeps its complete records and accepts new ones', async (path, open) => {
  const parts = await open()
  await parts.write(100, pattern(100, 30))
  await parts.write(500, pattern(500, 30))
  await parts.close()
  const bytes = readFileSync(path)
  assert.equal(bytes.length, 24 + 2 * (24 + 30))
  for (let length = 0; length <= bytes.length; length += 3) {
    writeFileSync(path, bytes)
    truncateSync(path, length)
    const again = await open()
    const whole = length < 24 ? 0 : Math.floor((length - 24) / 54)
    assert.equal(again.ranges.length, whole, `${length} bytes`)
    await again.write(900, pattern(900, 10))
    await again.sync()
    await again.close()
    const last = await open()
    assert.equal(last.ranges.length, whole + 1)
    assert.deepEqual(await bytesOf(last, 900, 910), [...pattern(900, 10)])
    await last.close()
  }
})

partsTest('bytes that look like headers are never used as headers after a crash', async (path, open) => {
  const parts = await open()
  await parts.write(100, pattern(100, 4))
  await parts.close()
  // The content of the second record is a copy of a valid record.
  const record = readFileSync(path).subarray(24)
  const again = await open()
  await again.write(1000, Buffer.concat([record, record, record]))
  await again.close()
  const torn = readFileSync(path)
  torn.fill(0, 24 + record.length, 24 + record.length + 24)
  writeFileSync(path, torn)
  const last = await open()
  assert.deepEqual(last.ranges, [{ start: 100, end: 104 }])
  await last.write(2000, pattern(0, 4))
  await last.close()
  assert.equal((await open()).ranges.length, 2)
})

partsTest('removed ranges stay removed, and the last one removes the file', async (path, open) => {
  const parts = await open()
  for (const start of [0, 10, 20]) await parts.write(start, pattern(start, 10))
  assert.deepEqual(parts.ranges, [{ start: 0, end: 30 }])
  await parts.remove({ start: 10, end: 20 })
  await parts.remove({ start: 100, end: 200 })
  await parts.close()
  const again = await open()
  assert.deepEqual(again.ranges, [
    { start: 0, end: 10 },
    { start: 20, end: 30 }
  ])
  await again.remove({ start: 0, end: 30 })
  assert.equal(existsSync(path), false)
  assert.equal(again.isEmpty, true)
  await again.write(5, pattern(5, 5))
  assert.deepEqual(await bytesOf(again, 5, 10), [...pattern(5, 5)])
  await again.delete()
  assert.equal(existsSync(path), false)
})

partsTest(
  'a file of another torrent counts as absent, and an invalid parts file is never replaced',
  async (path, open) => {
    const parts = await open()
    await parts.write(0, pattern(0, 10))
    await parts.close()
    const other = await open(torrentLength - 1)
    assert.equal(other.isEmpty, true)
    assert.equal(await other.stat(), undefined)
    await other.close()
    for (const text of ['short', 'something else that is long enough for a header']) {
      writeFileSync(path, text)
      const foreign = await open()
      assert.equal(foreign.isEmpty, true)
      await assert.rejects(foreign.write(7, pattern(7, 3)), { code: 'ERR_STORAGE_PATH' })
      await foreign.close()
      assert.equal(readFileSync(path, 'utf8'), text)
    }
    // The file after a crash during the first write.
    writeFileSync(path, new Uint8Array(24))
    const torn = await open()
    await torn.write(7, pattern(7, 3))
    assert.deepEqual(await bytesOf(torn, 7, 10), [...pattern(7, 3)])
  }
)

/** Returns the offsets of the headers in a parts file that keeps these ranges, written in this order. */
async function writeRecords(
  parts: PartsFile,
  ranges: readonly (readonly [number, number])[]
): Promise<number[]> {
  const headers: number[] = []
  for (const [start, end] of ranges) {
    await parts.write(start, pattern(start, end - start))
    headers.push((parts.find(start)?.position ?? 0) - 24)
  }
  await parts.close()
  return headers
}

partsTest('a header that was damaged ends the index', async (path, open) => {
  const [, second = 0] = await writeRecords(await open(), [
    [0, 10],
    [50, 60]
  ])
  const whole = readFileSync(path)
  // All but the live flag and the offset beyond 4 GiB, which the checksum does not cover.
  for (const at of [0, 1, 2, 3, 8, 9, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23]) {
    const damaged = Uint8Array.from(whole)
    damaged[second + at] = (damaged[second + at] ?? 0) ^ 1
    writeFileSync(path, damaged)
    const parts = await open()
    assert.deepEqual(parts.ranges, [{ start: 0, end: 10 }], `byte ${at}`)
    await parts.close()
  }
})

partsTest('records beyond the torrent do not count', async (path, open) => {
  const [, second = 0] = await writeRecords(await open(2000), [
    [0, 10],
    [1500, 1600]
  ])
  const bytes = readFileSync(path)
  // The length in the header of the file, not of the record.
  bytes.writeUIntBE(1550, 10, 6)
  writeFileSync(path, bytes)
  const parts = await open(1550)
  assert.deepEqual(parts.ranges, [{ start: 0, end: 10 }])
  assert.equal(readFileSync(path).length, second, 'and are cut off')
})

partsTest('the first of overlapping records counts', async (path, open) => {
  const [first = 0, second = 0] = await writeRecords(await open(), [
    [0, 10],
    [100, 110]
  ])
  const bytes = readFileSync(path)
  // A copy of the first record after the second, as no run writes it.
  const copy = Buffer.from(bytes.subarray(first, second))
  copy.fill(0xff, 24)
  writeFileSync(path, Buffer.concat([bytes, copy]))
  const parts = await open()
  assert.deepEqual(parts.ranges, [
    { start: 0, end: 10 },
    { start: 100, end: 110 }
  ])
  assert.deepEqual(await bytesOf(parts, 0, 10), [...pattern(0, 10)])
  await parts.remove({ start: 0, end: 10 })
  assert.deepEqual(parts.ranges, [{ start: 100, end: 110 }])
})
