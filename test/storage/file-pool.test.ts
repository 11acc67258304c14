import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { FilePool } from '../../lib/storage/file-pool.ts'
import { deferred } from '../../lib/util/concurrency.ts'
import { until } from '../support/until.ts'

class Handle {
  static log: string[] = []
  readonly name: string
  isOpen = true

  constructor(key: number, write: boolean) {
    this.name = `${key}${write ? 'w' : 'r'}`
    Handle.log.push(`open ${this.name}`)
  }

  async close(): Promise<void> {
    assert.equal(this.isOpen, true, `${this.name} closed twice`)
    this.isOpen = false
    await setImmediate()
    Handle.log.push(`close ${this.name}`)
  }
}

const opener = async (key: number, write: boolean): Promise<Handle> => {
  await setImmediate()
  return new Handle(key, write)
}
const nothing = async (): Promise<void> => {}

function newPool(maxOpen: number, idleMs?: number): FilePool<Handle> {
  Handle.log = []
  return new FilePool(opener, { maxOpen, ...(idleMs === undefined ? {} : { idleMs }) })
}

test('a file with many callers is opened once, and the least recently used one is closed', async () => {
  const pool = newPool(2)
  await Promise.all([1, 1, 1].map((key) => pool.use(key, false, nothing)))
  await pool.use(2, false, nothing)
  await pool.use(1, false, nothing)
  await pool.use(3, false, nothing)
  assert.deepEqual(Handle.log, ['open 1r', 'open 2r', 'close 2r', 'open 3r'])
  assert.equal(pool.openCount, 2)
  await pool.close()
  await pool.close()
  assert.equal(pool.openCount, 0)
  await assert.rejects(pool.use(1, false, nothing), { code: 'ERR_STORAGE_CLOSED' })
})

test('a read handle is exchanged for a writing one, but not while it is in use', async () => {
  const pool = newPool(4)
  const reading = deferred<void>()
  const reader = pool.use(1, false, async (handle) => {
    await reading.promise
    assert.equal(handle.isOpen, true)
  })
  await pool.use(1, true, async (handle) => assert.equal(handle.name, '1w'))
  await pool.use(1, false, async (handle) => assert.equal(handle.name, '1w'))
  reading.resolve()
  await reader
  assert.deepEqual(Handle.log, ['open 1r', 'open 1w', 'close 1r'])
  await pool.close()
})

test('with any number of callers the limit holds and all are served', async () => {
  const pool = newPool(3)
  let most = 0
  let served = 0
  await Promise.all(
    Array.from({ length: 300 }, (_, index) =>
      pool.use(index % 17, index % 5 === 0, async (handle) => {
        most = Math.max(most, pool.openCount)
        await setImmediate()
        assert.equal(handle.isOpen, true)
        served++
      })
    )
  )
  assert.equal(served, 300)
  assert.equal(most, 3)
  await pool.close()
})

test('close waits for handles in use', async () => {
  const pool = newPool(3)
  const working = deferred<void>()
  const work = pool.use(1, true, async (handle) => {
    await working.promise
    assert.equal(handle.isOpen, true)
  })
  const closing = pool.close()
  working.resolve()
  await Promise.all([work, closing])
  assert.deepEqual(Handle.log, ['open 1w', 'close 1w'])
})

test('an idle handle is closed after a while', async () => {
  const pool = newPool(3, 1)
  await pool.use(1, false, nothing)
  await pool.use(2, false, nothing)
  await until('all files to close', () => pool.openCount, { is: 0 })
  assert.deepEqual(Handle.log.slice(2).sort(), ['close 1r', 'close 2r'])
  await pool.use(1, false, nothing)
  await pool.close()
})

test('a failed open rejects all waiting callers, and can be retried', async () => {
  let broken = true
  const pool = new FilePool(
    async (key, write) => {
      if (broken) throw new Error('no')
      return opener(key, write)
    },
    { maxOpen: 1 }
  )
  const outcomes = await Promise.allSettled([1, 1, 2].map((key) => pool.use(key, false, nothing)))
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['rejected', 'rejected', 'rejected']
  )
  assert.equal(pool.openCount, 0)
  broken = false
  await pool.use(1, false, nothing)
  assert.equal(pool.openCount, 1)
  await pool.close()
  assert.equal(pool.openCount, 0)
})

test('when the process has no descriptors left, idle handles are closed', async () => {
  let open = 0
  const pool = new FilePool(
    async () => {
      if (open >= 2) throw Object.assign(new Error('EMFILE'), { code: 'EMFILE' })
      open++
      return {
        close: async () => {
          open--
        }
      }
    },
    { maxOpen: 100 }
  )
  for (const key of [1, 2, 3, 4]) await pool.use(key, false, nothing)
  await pool.close()
  assert.equal(open, 0)
})

test('a failed close is reported once', async () => {
  const fault = new Error('late write error')
  const pool = new FilePool(async () => ({ close: () => Promise.reject(fault) }), { maxOpen: 1 })
  await pool.use(1, true, nothing)
  await pool.use(2, true, nothing)
  assert.equal(pool.takeFailure(), fault)
  assert.equal(pool.takeFailure(), undefined)
  await pool.close()
  assert.equal(pool.openCount, 0)
})
