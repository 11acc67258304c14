import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Wire } from '../../lib/wire.ts'

const infoHash = new Uint8Array(20).fill(1)

test('two wires talk through pipes', async () => {
  const a = new Wire({ pieceCount: 10 })
  const b = new Wire({ pieceCount: 10 })
  a.pipe(b).pipe(a)
  const seen: string[] = []
  const done = new Promise<void>((resolve) => {
    b.on('handshake', ({ fast }) => {
      seen.push(`handshake ${fast}`)
      b.handshake(infoHash, new Uint8Array(20).fill(3))
      b.haveAll()
      b.unchoke()
    })
    b.on('request', (piece, offset, length) => b.piece(piece, offset, new Uint8Array(length).fill(piece)))
    a.on('bitfield', () => seen.push(`bitfield ${a.peerSeeding}`))
    a.on('unchoke', () => a.requests([1, 0, 16384, 2, 16384, 16384]))
    a.on('piece', (piece, offset, data) => {
      seen.push(`piece ${piece} ${offset} ${data.length} ${data[5]}`)
      if (piece === 2) resolve()
    })
  })
  a.handshake(infoHash, new Uint8Array(20).fill(2))
  await done
  assert.deepEqual(seen, ['handshake true', 'bitfield true', 'piece 1 0 16384 1', 'piece 2 16384 16384 2'])
  a.destroy()
  await new Promise((resolve) => b.on('close', () => resolve(undefined)))
})
