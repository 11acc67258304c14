import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { decodeSavedTorrents, encodeSavedTorrents, readSavedSteps } from '../../lib/client/saved-torrents.ts'
import { root } from '../fuzz/store.ts'

test('a session file of many torrents is read in slices', () => {
  const file = readFileSync(path.join(root, 'test/fixtures/state-0.1.0/paused/state/client.session'))
  const [saved] = decodeSavedTorrents(file).savedTorrents
  assert.ok(saved !== undefined)
  const savedTorrents = Array.from({ length: 1000 }, (_, n) => ({
    ...saved,
    infoHash: n.toString(16).padStart(40, '0')
  }))
  const bytes = encodeSavedTorrents(savedTorrents)
  const steps = readSavedSteps(bytes)
  let slices = 1
  let step = steps.next()
  for (; step.done !== true; step = steps.next()) slices++
  assert.ok(slices >= 10, `${slices} slices`)
  assert.equal(step.value.lines.length, 1000)
  assert.deepEqual(decodeSavedTorrents(bytes), { savedTorrents, damaged: 0 })
})

test('empty lines of a session file, and a missing final newline, are no damage', () => {
  const file = readFileSync(path.join(root, 'test/fixtures/state-0.1.0/paused/state/client.session'))
  const text = file.toString().trimEnd().replaceAll('\n', '\n\n')
  assert.deepEqual(decodeSavedTorrents(Buffer.from(`\n${text}`)), decodeSavedTorrents(file))
})

test('a line with a changed byte is damaged, and costs no other line', () => {
  const file = readFileSync(path.join(root, 'test/fixtures/state-0.1.0/paused/state/client.session'))
  const [saved] = decodeSavedTorrents(file).savedTorrents
  assert.ok(saved !== undefined)
  const savedTorrents = ['1', '2', '3'].map((digit) => ({
    ...saved,
    name: 'film',
    infoHash: digit.repeat(40)
  }))
  // The first line is the title.
  const lines = Buffer.from(encodeSavedTorrents(savedTorrents)).toString().split('\n')
  const changed = lines.map((line, n) => (n === 2 ? line.replace('"film"', '"filn"') : line)).join('\n')
  assert.ok(changed.includes('"filn"'))
  const { savedTorrents: read, damaged } = decodeSavedTorrents(Buffer.from(changed))
  assert.equal(damaged, 1)
  assert.deepEqual(
    read.map(({ infoHash }) => infoHash[0]),
    ['1', '3']
  )
})
