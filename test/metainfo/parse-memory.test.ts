import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import test from 'node:test'
import { promisify } from 'node:util'
import { largeTorrents } from '../support/large-torrents.ts'

const program = new URL('./parse-memory-program.js', import.meta.url)
const bytes = 4 << 20

test('parsing takes at most 64 MiB of heap and 16 times the bytes of a torrent', async () => {
  const heapMiB = 64 + (16 * bytes) / 2 ** 20
  const args = [`--max-old-space-size=${heapMiB}`, program.pathname, `${bytes}`]
  const { stdout } = await promisify(execFile)(process.execPath, args).catch(({ stdout, stderr }) => {
    throw new Error(`after ${stdout}\n${stderr}`)
  })
  const parsed = stdout.trim().split('\n')
  assert.deepEqual(
    parsed.map((line) => line.replace(/:.*/, '')),
    Object.keys(largeTorrents)
  )
})
