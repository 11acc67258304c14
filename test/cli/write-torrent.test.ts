import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { writeTorrent } from '../../lib/cli/write-torrent.ts'
import { temporaryFolder } from './run-command.ts'

test('a .torrent is written atomically, replacing an existing one', async (t) => {
  const folder = temporaryFolder(t)
  const out = path.join(folder, 'film.torrent')
  writeFileSync(out, 'before')
  await writeTorrent(out, Buffer.from('after'))
  assert.equal(readFileSync(out, 'utf8'), 'after')
  writeFileSync(path.join(folder, 'plain'), '')
  assert.equal(statSync(out).mode, statSync(path.join(folder, 'plain')).mode, 'others may read it')
  rmSync(path.join(folder, 'plain'))
  const taken = path.join(folder, 'taken')
  mkdirSync(taken)
  writeFileSync(path.join(taken, 'file'), '')
  await assert.rejects(writeTorrent(taken, Buffer.from('x')), { code: 'ERR_STORAGE_WRITE' })
  assert.deepEqual(readdirSync(folder).sort(), ['film.torrent', 'taken'], 'no temporary file is left')
})
