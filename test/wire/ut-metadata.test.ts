import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TorrentError } from '../../lib/util/errors.ts'
import { type ExtendedHandshake, MetadataExtension, type MetadataHandlers, Wire } from '../../lib/wire.ts'
import { fc } from '../support/fast-check.ts'

const infoHash = new Uint8Array(20).fill(1)
const nothing: ExtendedHandshake = {
  version: undefined,
  port: undefined,
  maxRequests: undefined,
  yourIp: undefined,
  ipv4: undefined,
  ipv6: undefined,
  metadataSize: undefined,
  uploadOnly: undefined,
  extensions: new Map()
}

async function pair(
  left: MetadataHandlers,
  right: MetadataHandlers
): Promise<{ wires: [Wire, Wire]; extensions: [MetadataExtension, MetadataExtension] }> {
  const wires: [Wire, Wire] = [new Wire(), new Wire()]
  wires[0].pipe(wires[1]).pipe(wires[0])
  const extensions: [MetadataExtension, MetadataExtension] = [
    wires[0].use(new MetadataExtension(wires[0], left)),
    wires[1].use(new MetadataExtension(wires[1], right))
  ]
  const ready = wires.map((wire) => new Promise((resolve) => wire.on('extended-handshake', resolve)))
  for (const wire of wires) {
    wire.on('handshake', () =>
      wire.extendedHandshake({ metadataSize: wire === wires[1] ? 20_000 : undefined })
    )
    wire.handshake(infoHash, infoHash)
  }
  await Promise.all(ready)
  return { wires, extensions }
}

test('pieces of metadata are requested, sent and rejected', async () => {
  const metadata = Uint8Array.from({ length: 20_000 }, (_, n) => n % 251)
  const seen: string[] = []
  const { wires, extensions } = await pair(
    {
      onReady: (size) => seen.push(`ready ${size}`),
      onData: (piece, size, bytes) => {
        assert.deepEqual(bytes, metadata.subarray(piece * 16384, (piece + 1) * 16384))
        seen.push(`data ${piece} ${size}`)
      },
      onReject: (piece) => {
        seen.push(`reject ${piece}`)
        wires[0].destroy()
      },
      onClose: () => seen.push('close')
    },
    {
      onRequest: (piece) => {
        if (piece < 2)
          extensions[1].data(piece, 20_000, metadata.subarray(piece * 16384, (piece + 1) * 16384))
        else extensions[1].reject(piece)
      }
    }
  )
  assert.equal(extensions[0].supported, true)
  assert.equal(extensions[0].size, 20_000)
  assert.equal(extensions[1].size, undefined)
  for (const piece of [0, 1, 2]) assert.equal(extensions[0].request(piece), true)
  await new Promise((resolve) => wires[1].on('close', () => resolve(undefined)))
  assert.deepEqual(seen, ['ready 20000', 'data 0 20000', 'data 1 20000', 'reject 2', 'close'])
  assert.equal(extensions[0].request(0), false)
})

test('without a handler requests are rejected, and so are those beyond the metadata', async () => {
  const sent: string[] = []
  const sender = {
    extended: (name: string, payload: Uint8Array) => sent.push(`${name} ${Buffer.from(payload)}`) > 0
  }
  new MetadataExtension(sender).onMessage(Buffer.from('d8:msg_typei0e5:piecei0ee'))
  new MetadataExtension(sender, { onRequest: () => assert.fail() }).onMessage(
    Buffer.from('d8:msg_typei0e5:piecei99999ee')
  )
  new MetadataExtension(sender).onMessage(Buffer.from('d8:msg_typei7e5:piecei0ee'))
  assert.deepEqual(sent, [
    'ut_metadata d8:msg_typei2e5:piecei0ee',
    'ut_metadata d8:msg_typei2e5:piecei99999ee'
  ])
})

test('a size above 32 MiB counts as none, and a later handshake names only changes', () => {
  const extension = new MetadataExtension({ extended: () => true })
  const handshake = (extensions: [string, number][], metadataSize?: number): void =>
    extension.onHandshake({ ...nothing, metadataSize, extensions: new Map(extensions) })
  handshake([['ut_metadata', 3]], 2 ** 25 + 1)
  assert.deepEqual([extension.supported, extension.size], [true, undefined])
  handshake([], 2 ** 25)
  assert.deepEqual([extension.supported, extension.size], [true, 2 ** 25])
  handshake([['ut_metadata', 0]])
  assert.deepEqual([extension.supported, extension.size], [false, 2 ** 25])
  handshake([])
  assert.equal(extension.supported, false)
})

const hostile: [what: string, payload: string, code: string][] = [
  ['nothing', '', 'ERR_WIRE_PROTOCOL'],
  ['no bencode', 'x', 'ERR_WIRE_PROTOCOL'],
  ['a list', 'le', 'ERR_WIRE_PROTOCOL'],
  ['deep nesting', `d8:msg_typei2e5:piecei0e1:x${'l'.repeat(50)}${'e'.repeat(50)}e`, 'ERR_WIRE_PROTOCOL'],
  ['many values', `d8:msg_typei2e5:piecei0e1:xl${'i1e'.repeat(200)}ee`, 'ERR_WIRE_PROTOCOL'],
  ['no type', 'd5:piecei0ee', 'ERR_WIRE_PROTOCOL'],
  ['no piece', 'd8:msg_typei0ee', 'ERR_WIRE_PROTOCOL'],
  ['a negative piece', 'd8:msg_typei0e5:piecei-1ee', 'ERR_WIRE_PROTOCOL'],
  ['data without size', 'd8:msg_typei1e5:piecei0eeabc', 'ERR_WIRE_PROTOCOL'],
  ['data of another length', 'd8:msg_typei1e5:piecei0e10:total_sizei4eeabc', 'ERR_WIRE_PROTOCOL'],
  ['data beyond the end', 'd8:msg_typei1e5:piecei1e10:total_sizei3eeabc', 'ERR_WIRE_PROTOCOL'],
  ['a size of 0', 'd8:msg_typei1e5:piecei0e10:total_sizei0ee', 'ERR_WIRE_PROTOCOL'],
  ['a size of 4 GiB', 'd8:msg_typei1e5:piecei0e10:total_sizei4294967296eeabc', 'ERR_WIRE_LIMIT']
]
for (const [what, payload, code] of hostile) {
  test(`refuses a message with ${what}`, () => {
    const extension = new MetadataExtension({ extended: () => true }, { onData: () => assert.fail() })
    assert.throws(() => extension.onMessage(Buffer.from(payload)), { code })
  })
}

test('garbage ends in a TorrentError or nothing', () => {
  const extension = new MetadataExtension({ extended: () => true })
  const property = fc.property(fc.uint8Array({ maxLength: 100 }), (payload) => {
    try {
      extension.onMessage(payload)
    } catch (error) {
      assert.ok(error instanceof TorrentError)
    }
  })
  fc.assert(property, { numRuns: 300 })
})
