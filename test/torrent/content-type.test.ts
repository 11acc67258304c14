import assert from 'node:assert/strict'
import { test } from 'node:test'
import { contentType } from '../../lib/torrent/content-type.ts'

test('the last extension of a name gives its type; without one there is none', () => {
  const table: Readonly<Record<string, string>> = {
    'film.mp4': 'video/mp4',
    'phone.3gp': 'video/3gpp',
    'camera.MTS': 'video/mp2t',
    'VTS_01_1.VOB': 'video/mpeg',
    'song.wma': 'audio/x-ms-wma',
    'a.mp4.txt': 'text/plain; charset=utf-8',
    '.mp4': 'application/octet-stream',
    'film.': 'application/octet-stream',
    'film.constructor': 'application/octet-stream',
    film: 'application/octet-stream'
  }
  for (const [name, type] of Object.entries(table)) assert.equal(contentType(name), type, name)
})
