import assert from 'node:assert/strict'
import test from 'node:test'
import type { Torrent } from '../../lib/index.ts'
import { playlist, playlistFiles } from '../../lib/server/playlist.ts'

/** Makes a torrent of files with these paths. */
function torrentOf(paths: readonly string[]): Torrent {
  const files = paths.map((path) => ({
    path,
    name: path,
    type: path.endsWith('4') ? 'video/mp4' : 'text/plain'
  }))
  return { infoHash: '0'.repeat(40), files } as unknown as Torrent
}

test('the files of a playlist are sorted once, by the numbers in their names', async () => {
  const paths = Array.from({ length: 3000 }, (_, n) => `x/${(n * 7919) % 3000}.mp4`)
  const torrent = torrentOf([...paths, 'x/note.txt'])
  const [files, again] = await Promise.all([playlistFiles(torrent), playlistFiles(torrent)])
  assert.equal(files, again)
  assert.deepEqual(
    files.map(({ path }) => path),
    Array.from({ length: 3000 }, (_, n) => `x/${n}.mp4`)
  )
  let lines = 0
  for (const part of playlist(torrent, files, 'http://localhost', '')) lines += part.split('\n').length - 1
  assert.equal(lines, 6001)
})

test('without playable files all files are in the playlist', async () => {
  const files = await playlistFiles(torrentOf(['x/b.txt', 'x/a.txt']))
  assert.deepEqual(
    files.map(({ path }) => path),
    ['x/a.txt', 'x/b.txt']
  )
})
