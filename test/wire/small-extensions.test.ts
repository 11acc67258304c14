import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DontHaveExtension } from '../../lib/wire/lt-donthave.ts'
import { UploadOnlyExtension } from '../../lib/wire/upload-only.ts'
import { Wire } from '../../lib/wire/wire.ts'

/** Two wires connected to each other. */
function pair(): [Wire, Wire] {
  const wires: [Wire, Wire] = [new Wire({ pieceCount: 10 }), new Wire({ pieceCount: 10 })]
  wires[0].pipe(wires[1]).pipe(wires[0])
  for (const wire of wires) wire.handshake(new Uint8Array(20), new Uint8Array(20))
  return wires
}

async function turn(): Promise<void> {
  for (let n = 0; n < 5; n++) await new Promise((resolve) => setImmediate(resolve))
}

test("a lost piece is removed from the peer's pieces (BEP 54)", async () => {
  const [here, there] = pair()
  await turn()
  const heard: number[] = []
  here.use(new DontHaveExtension(here))
  here.on('dont-have', (piece) => heard.push(piece))
  const extension = there.use(new DontHaveExtension(there))
  assert.equal(extension.dontHave(3), false, 'no peer has announced it')
  here.extendedHandshake()
  there.extendedHandshake()
  there.haveAll()
  await turn()
  assert.equal(here.peerSeeding, true)
  for (const piece of [3, 3, 9, 4_000_000]) assert.equal(extension.dontHave(piece), true)
  await turn()
  assert.deepEqual(heard, [3, 9])
  assert.equal(here.peerPieceTotal, 8)
  assert.equal(here.peerSeeding, false)
  there.have(3)
  await turn()
  assert.equal(here.peerPieceTotal, 9)
  there.extended('lt_donthave', Uint8Array.of(1, 2))
  await turn()
  assert.equal(here.destroyed, false)
  assert.equal(here.peerPieceTotal, 9)
})

test('upload-only is set by handshakes and messages, and stays until changed (BEP 21)', async () => {
  const [here, there] = pair()
  await turn()
  const heard: boolean[] = []
  const extension = here.use(new UploadOnlyExtension(here, (uploadOnly) => heard.push(uploadOnly)))
  const other = there.use(new UploadOnlyExtension(there, () => {}))
  here.extendedHandshake()
  there.extendedHandshake({ uploadOnly: true })
  await turn()
  there.extendedHandshake({ version: 'x' })
  await turn()
  assert.equal(extension.uploadOnly, true)
  other.send(false)
  other.send(false)
  there.extended('upload_only', new Uint8Array())
  await turn()
  assert.deepEqual(heard, [true, false])
})
