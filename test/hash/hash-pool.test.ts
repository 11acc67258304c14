import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after, before } from 'node:test'
import { Worker } from 'node:worker_threads'
import type { HashJob, Segment } from '../../lib/hash/hash-job.ts'
import { HashPool, hashPieces } from '../../lib/hash/hash-pool.ts'
import { equalBytes } from '../../lib/util/bytes.ts'
import { TorrentError } from '../../lib/util/errors.ts'

const size = 24 * 2 ** 20 + 12345
let home = ''
let big = ''
let content = new Uint8Array(0)

before(() => {
  home = mkdtempSync(path.join(tmpdir(), 'piecewise-hash-'))
  big = path.join(home, 'big')
  content = new Uint8Array(randomBytes(size))
  writeFileSync(big, content)
})
after(() => rmSync(home, { recursive: true, force: true }))

function digestOf(bytes: Uint8Array, algorithm = 'sha1'): Uint8Array {
  return new Uint8Array(createHash(algorithm).update(bytes).digest())
}

function* piecesOf(file: string, length: number, pieceLength: number): Generator<HashJob> {
  for (let index = 0; index * pieceLength < length; index++) {
    const fileOffset = index * pieceLength
    yield {
      index,
      segments: [{ path: file, fileOffset, length: Math.min(pieceLength, length - fileOffset) }]
    }
  }
}

/** Collects all digests by index. Fails when a piece is reported twice. */
async function collect(
  jobs: Iterable<HashJob>,
  options: { threads?: number; algorithm?: 'sha1' | 'sha256' } = {}
): Promise<Map<number, Uint8Array | TorrentError | undefined>> {
  const results = new Map<number, Uint8Array | TorrentError | undefined>()
  await hashPieces(jobs, {
    ...options,
    onResult: (index, digest, fault) => {
      assert.ok(!results.has(index))
      results.set(index, digest ?? fault)
    }
  })
  return results
}

for (const pieceLength of [16384, 100_000, 2 ** 18, 3 * 2 ** 20, 2 ** 24]) {
  for (const threads of [1, 3]) {
    test(`pieces of ${pieceLength} bytes on ${threads} threads`, async () => {
      const results = await collect(piecesOf(big, size, pieceLength), { threads })
      assert.equal(results.size, Math.ceil(size / pieceLength))
      for (const [index, digest] of results) {
        assert.deepEqual(digest, digestOf(content.subarray(index * pieceLength, (index + 1) * pieceLength)))
      }
    })
  }
}

test('SHA-256 for version 2', async () => {
  const results = await collect(piecesOf(big, size, 2 ** 20), { algorithm: 'sha256' })
  assert.deepEqual(results.get(3), digestOf(content.subarray(3 * 2 ** 20, 4 * 2 ** 20), 'sha256'))
})

/** Hashes the jobs alone, on this thread, and again after enough others to start threads. */
async function bothWays(
  jobs: HashJob[],
  check: (results: Awaited<ReturnType<typeof collect>>) => void
): Promise<void> {
  check(await collect(jobs))
  const more = [...piecesOf(big, size, 2 ** 20)].map(({ index, segments }) => ({
    index: index + 1000,
    segments
  }))
  check(await collect([...jobs, ...more], { threads: 2 }))
}

test('pieces of many small files, zeros and empty segments', async () => {
  const files = Array.from({ length: 50 }, (_, n) => {
    const bytes = randomBytes(n * 100)
    const file = path.join(home, `small${n}`)
    writeFileSync(file, bytes)
    return { file, bytes }
  })
  const segments: Segment[] = files.map(({ file, bytes }) => ({
    path: file,
    fileOffset: 0,
    length: bytes.length
  }))
  segments.push({ path: undefined, fileOffset: 0, length: 300_000 }, { path: big, fileOffset: 5, length: 0 })
  const whole = Buffer.concat([...files.map(({ bytes }) => bytes), Buffer.alloc(300_000)])
  const backwards = [big, big].map((file, n) => ({ path: file, fileOffset: 500 - n * 300, length: 100 }))
  const jobs = [
    { index: 0, segments },
    { index: 1, segments: [] },
    { index: 2, segments: [{ path: undefined, fileOffset: 0, length: 10 }] },
    { index: 3, segments: backwards }
  ]
  await bothWays(jobs, (results) => {
    assert.deepEqual(results.get(0), digestOf(whole))
    assert.deepEqual(results.get(1), digestOf(new Uint8Array(0)))
    assert.deepEqual(results.get(2), digestOf(new Uint8Array(10)))
    assert.deepEqual(
      results.get(3),
      digestOf(Buffer.concat([content.subarray(500, 600), content.subarray(200, 300)]))
    )
  })
})

test('missing and short files give no digest and affect no other piece', async () => {
  const short = path.join(home, 'short')
  writeFileSync(short, content.subarray(0, 100))
  const piece = (index: number, file: string, fileOffset: number): HashJob => {
    return { index, segments: [{ path: file, fileOffset, length: 80 }] }
  }
  const jobs = [
    piece(0, path.join(home, 'missing'), 0),
    piece(1, short, 0),
    piece(2, short, 80),
    piece(3, short, 1000),
    piece(4, path.join(short, 'below a file'), 0),
    piece(5, path.join(home, 'missing'), 80),
    piece(6, short, 20)
  ]
  await bothWays(jobs, (results) => {
    for (const index of [0, 2, 3, 4, 5]) assert.ok(results.has(index) && results.get(index) === undefined)
    assert.deepEqual(results.get(1), digestOf(content.subarray(0, 80)))
    assert.deepEqual(results.get(6), digestOf(content.subarray(20, 100)))
  })
})

test('other read errors have path and code', async () => {
  await bothWays([{ index: 0, segments: [{ path: home, fileOffset: 0, length: 10 }] }], (results) => {
    const fault = results.get(0)
    assert.ok(fault instanceof TorrentError)
    assert.equal(fault.code, 'ERR_HASH_READ')
    assert.deepEqual(fault.details, { path: home, code: 'EISDIR' })
  })
})

test('jobs are pulled only as threads become free', async () => {
  let pulled = 0
  let told = 0
  let ahead = 0
  function* jobs(): Generator<HashJob> {
    for (const job of piecesOf(big, 2 ** 24, 16384)) {
      for (let n = 0; n < 20; n++) {
        pulled++
        yield { ...job, index: pulled }
      }
    }
  }
  await hashPieces(jobs(), { threads: 2, onResult: () => (ahead = Math.max(ahead, pulled - ++told)) })
  assert.equal(told, 20 * 1024)
  assert.ok(ahead <= 4 * 512 + 512, `${ahead} pieces were pulled ahead`)
})

test('overlapping calls share the threads and get their own results', async () => {
  const pool = new HashPool(2)
  const seen = [0, 0, 0]
  let most = 0
  const works = seen.map((_, n) =>
    pool.hash(piecesOf(big, size, 2 ** 18 * (n + 1)), {
      onResult: (index, digest) => {
        const start = index * 2 ** 18 * (n + 1)
        const expected = digestOf(content.subarray(start, start + 2 ** 18 * (n + 1)))
        assert.ok(digest !== undefined && equalBytes(digest, expected))
        seen[n] = (seen[n] ?? 0) + 1
        most = Math.max(most, pool.threads)
      }
    })
  )
  await Promise.all(works)
  assert.deepEqual(
    seen,
    [1, 2, 3].map((n) => Math.ceil(size / (2 ** 18 * n)))
  )
  assert.equal(most, 2)
  assert.equal(pool.threads, 0)
  await pool.close()
})

test('a small job uses no threads', async () => {
  const pool = new HashPool(2)
  let threads = 0
  await pool.hash(piecesOf(big, 2 ** 21, 2 ** 18), {
    onResult: () => (threads = Math.max(threads, pool.threads))
  })
  assert.equal(threads, 0)
})

for (const [what, length] of [
  ['a few pieces', 2 ** 21],
  ['many pieces', size]
] as const) {
  test(`an abort stops ${what} with the signal's reason`, async () => {
    const abort = new AbortController()
    const reason = new Error('enough')
    let told = 0
    let finished = false
    function* jobs(): Generator<HashJob> {
      try {
        for (;;) yield* piecesOf(big, length, 2 ** 18)
      } finally {
        finished = true
      }
    }
    const source = length === size ? jobs() : piecesOf(big, length, 2 ** 18)
    const work = hashPieces(source, {
      signal: abort.signal,
      onResult: () => {
        told++
        abort.abort(reason)
      }
    })
    await assert.rejects(work, reason)
    assert.equal(told, 1)
    assert.equal(finished, length === size)
    await assert.rejects(hashPieces([], { signal: abort.signal, onResult: () => {} }), reason)
  })
}

const broken: Record<string, () => Worker> = {
  'the worker is not beside the code': () => new Worker(path.join(home, 'missing.js')),
  'the code has no place': () => new Worker(new URL('./hash-worker.js', undefined)),
  'the worker ends at once': () => new Worker('process.exit(3)', { eval: true })
}
for (const [what, start] of Object.entries(broken)) {
  test(`this thread hashes where no other can start: ${what}`, async () => {
    const pool = new HashPool(2, start)
    for (const round of [1, 2]) {
      const digests: Uint8Array[] = []
      await pool.hash(piecesOf(big, size, 2 ** 20), {
        onResult: (index, digest) => {
          assert.equal(index, digests.length)
          digests.push(digest ?? new Uint8Array())
        }
      })
      assert.equal(digests.length, 25, `round ${round}`)
      assert.deepEqual(digests[24], digestOf(content.subarray(24 * 2 ** 20)))
      assert.equal(pool.threads, 0)
    }
    const stop = new AbortController()
    const aborted = pool.hash(piecesOf(big, size, 2 ** 20), {
      signal: stop.signal,
      onResult: () => stop.abort()
    })
    await assert.rejects(aborted, { name: 'AbortError' })
    await pool.close()
  })
}

test('close while the first thread starts rejects', async () => {
  const pool = new HashPool(2)
  const hashing = pool.hash(piecesOf(big, size, 2 ** 20), { onResult: () => {} })
  const rejected = assert.rejects(hashing, { code: 'ERR_HASH_WORKER' })
  await pool.close()
  await rejected
})

test('close right after a call rejects it, also where threads have been started before', async () => {
  const pool = new HashPool(2)
  await pool.hash(piecesOf(big, size, 2 ** 20), { onResult: () => {} })
  const hashing = pool.hash(piecesOf(big, size, 2 ** 20), { onResult: () => assert.fail('closed') })
  const rejected = assert.rejects(hashing, { code: 'ERR_HASH_WORKER' })
  await pool.close()
  await rejected
  assert.equal(pool.threads, 0)
})

test('exceptions of jobs or onResult reject the call', async () => {
  const reason = new Error('mine')
  for (const length of [2 ** 20, size]) {
    const onResult = (): void => {
      throw reason
    }
    await assert.rejects(hashPieces(piecesOf(big, length, 2 ** 18), { onResult }), reason)
    function* jobs(): Generator<HashJob> {
      yield* piecesOf(big, length, 2 ** 18)
      throw reason
    }
    await assert.rejects(hashPieces(jobs(), { onResult: () => {} }), reason)
  }
})

test('close rejects pending calls, and can be called again', async () => {
  const pool = new HashPool(2)
  let work: Promise<void> | undefined
  await new Promise<void>((resolve) => {
    work = pool.hash(piecesOf(big, size, 2 ** 18), { onResult: () => resolve() })
    work.catch(() => {})
  })
  await Promise.all([pool.close(), pool.close()])
  assert.equal(pool.threads, 0)
  await assert.rejects(work ?? Promise.resolve(), { code: 'ERR_HASH_WORKER' })
  await assert.rejects(pool.hash([], { onResult: () => {} }), { code: 'ERR_HASH_WORKER' })
})

for (const end of ['answer', 'close'] as const) {
  test(`an aborted call rejects with the reason of the abort when its threads ${end}`, async () => {
    const pool = new HashPool(1)
    const abort = new AbortController()
    const work = pool.hash(piecesOf(big, size, 2 ** 18), {
      signal: abort.signal,
      onResult: () => {
        abort.abort(new Error('enough'))
        // Another batch is running by then.
        if (end === 'close') queueMicrotask(() => void pool.close())
      }
    })
    await assert.rejects(work, /enough/)
    await pool.close()
    assert.equal(pool.threads, 0)
  })
}

test('the event loop continues meanwhile', async () => {
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  await hashPieces(piecesOf(big, 4 * 2 ** 20 - 16384, 16384), { onResult: () => {} })
  clearInterval(timer)
  assert.ok(turns > 1)
})

test('neither threads nor listeners are left behind', async () => {
  const abort = new AbortController()
  let listeners = 0
  const add = abort.signal.addEventListener.bind(abort.signal)
  const remove = abort.signal.removeEventListener.bind(abort.signal)
  abort.signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners++
    add(...args)
  }
  abort.signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners--
    remove(...args)
  }
  await hashPieces(piecesOf(big, size, 2 ** 20), { signal: abort.signal, onResult: () => {} })
  assert.equal(listeners, 0)
  assert.ok(!process.getActiveResourcesInfo().includes('MessagePort'))
})
