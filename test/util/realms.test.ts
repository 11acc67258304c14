import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import vm from 'node:vm'
import { decode, encode } from '../../lib/bencode.ts'
import { DHT } from '../../lib/dht.ts'
import { MemoryStorage } from '../../lib/storage/memory-storage.ts'
import { storageError } from '../../lib/storage/storage-error.ts'
import { asError, isError, isTorrentError, systemCode, TorrentError } from '../../lib/util/errors.ts'
import { Bench } from '../torrent/bench.ts'

/** Returns a value of another realm. */
function foreign<T>(code: string): T {
  return vm.runInNewContext(`(${code})`) as T
}

test('the library works inside another realm', { timeout: 60_000 }, async () => {
  const program = fileURLToPath(new URL('realm-program.js', import.meta.url))
  await promisify(execFile)(process.execPath, ['--experimental-vm-modules', '--no-warnings', program])
})

test('errors of another realm are errors, and identified by their code', () => {
  const full = foreign<Error>("Object.assign(new Error('no space'), { code: 'ENOSPC' })")
  assert.equal(full instanceof Error, false)
  assert.equal(isError(full), true)
  assert.equal(asError(full), full)
  assert.equal(systemCode(full), 'ENOSPC')
  assert.equal(storageError(full, 'write', 'x').code, 'ERR_STORAGE_FULL')
  assert.equal(isError({ message: 'none', name: 'Error' }), false)
  assert.equal(isTorrentError(full), false)
  assert.equal(isTorrentError(new TorrentError('ERR_STORAGE_FULL', 'x')), true)
  const copy = foreign<Error>(
    "Object.assign(new Error('x'), { code: 'ERR_STORAGE_FULL', name: 'TorrentError' })"
  )
  assert.equal(isTorrentError(copy), true)
})

test('any thrown value that is no error becomes one', () => {
  assert.equal(asError('text').message, 'text')
  for (const thrown of [undefined, null, Symbol('x'), Object.create(null), () => {}, 7, { toString: 7 }])
    assert.ok(asError(thrown).message.length > 0)
})

test('bytes, maps, dates and objects of another realm are accepted', async (t) => {
  const value = foreign<Record<string, never>>(
    "{ bytes: new Uint8Array([1, 2]), map: new Map([['k', 1]]), list: [new Uint8Array([3])] }"
  )
  assert.deepEqual(
    Buffer.from(encode(value)).toString('latin1'),
    'd5:bytes2:\x01\x024:listl1:\x03e3:mapd1:ki1eee'
  )
  assert.equal(decode(foreign<Uint8Array>('new Uint8Array([105, 55, 101])')), 7)
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const torrentOf = (bytes: Uint8Array): Uint8Array =>
    foreign<Uint8Array>(`new Uint8Array([${bytes.join()}])`)
  const client = bench.client()
  const torrent = await client.add(torrentOf(sample.bytes), {
    path: sample.folder,
    ...foreign<object>('{ verify: true }')
  })
  await torrent.whenDone()
  assert.equal(client.get(torrentOf(sample.metainfo.infoHashes.v1 ?? new Uint8Array())), torrent)
  await using dht = new DHT({
    host: '127.0.0.1',
    ...foreign<{ bootstrap: [] }>('{ bootstrap: [] }'),
    id: foreign<Uint8Array>('new Uint8Array(20)')
  })
  await dht.ready
  const { target } = await dht.put({ value: foreign<Uint8Array>('new Uint8Array([1])') })
  assert.equal(target.length, 20)
})

test('a storage that throws errors of another realm fails like any other', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const storage = Object.assign(new MemoryStorage(), {
    open: foreign<() => never>("() => { throw Object.assign(new Error('no space'), { code: 'ENOSPC' }) }")
  })
  await assert.rejects(bench.client().add(sample.bytes, { storage }), {
    name: 'TorrentError',
    code: 'ERR_STORAGE_FULL'
  })
})
