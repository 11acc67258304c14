import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { format, stripVTControlCharacters } from 'node:util'
import createDebug from 'debug'
import { DontHaveExtension, MetadataExtension, Wire } from '../../lib/wire.ts'

const infoHash = new Uint8Array(20).fill(1)
const ids = ['-TR4050-aaaaaaaaaaaa', '-qB4520-bbbbbbbbbbbb'].map((id) => Buffer.from(id))
const hex = ids.map((id) => id.toString('hex'))

/** Collects log lines, without the prefix of the log. */
function collectLog(t: TestContext, namespaces: string): string[] {
  const lines: string[] = []
  const { log } = createDebug
  const before = createDebug.disable()
  createDebug.enable(namespaces)
  createDebug.log = (...values: unknown[]) => {
    const text = stripVTControlCharacters(format(...values))
    lines.push(text.replace(/^.*piecewise:wire /, '').replace(/ \+\d+m?s$/, ''))
  }
  t.after(() => {
    createDebug.log = log
    createDebug.enable(before)
  })
  return lines
}

async function turn(): Promise<void> {
  for (let n = 0; n < 5; n++) await new Promise((resolve) => setImmediate(resolve))
}

/** A leecher and a seeder after their handshakes. */
async function talk(): Promise<[Wire, Wire]> {
  const wires: [Wire, Wire] = [new Wire({ pieceCount: 10 }), new Wire({ pieceCount: 10, dht: true })]
  wires[0].pipe(wires[1]).pipe(wires[0])
  wires.forEach((wire, n) => void wire.handshake(infoHash, ids[n] ?? infoHash))
  await turn()
  return wires
}

test('each message that two wires send and receive is one line', async (t) => {
  const lines = collectLog(t, 'piecewise:wire')
  const [leecher, seeder] = await talk()
  const [first, second] = [leecher.id, seeder.id]
  assert.deepEqual(lines.splice(0).sort(), [
    `${first} -> handshake of ${'01'.repeat(20)} peer ${hex[0]} (Transmission 4.0.5) fast extended`,
    `${first} qBittorrent 4.5.2 <- handshake of ${'01'.repeat(20)} peer ${hex[1]} (qBittorrent 4.5.2) fast extended dht`,
    `${second} -> handshake of ${'01'.repeat(20)} peer ${hex[1]} (qBittorrent 4.5.2) fast extended dht`,
    `${second} Transmission 4.0.5 <- handshake of ${'01'.repeat(20)} peer ${hex[0]} (Transmission 4.0.5) fast extended`
  ])
  seeder.on('request', (piece, offset, length) => seeder.piece(piece, offset, new Uint8Array(length)))
  leecher.use(new DontHaveExtension(leecher))
  leecher.use(new MetadataExtension(leecher))
  const dontHave = seeder.use(new DontHaveExtension(seeder))
  const steps: readonly [act: () => void, lines: readonly string[]][] = [
    [() => seeder.haveAll(), ['-> have-all', '<- have-all']],
    [
      () => seeder.bitfield(Uint8Array.of(0xc0, 0)),
      ['-> bitfield 2 pieces, 2 bytes', '<- bitfield 2 pieces, 2 bytes']
    ],
    [() => seeder.unchoke(), ['-> unchoke', '<- unchoke']],
    [() => seeder.haveMany([1, 2]), ['-> have 1', '-> have 2', '<- have 1', '<- have 2']],
    [() => seeder.port(6881), ['-> port 6881', '<- port 6881']],
    [() => seeder.keepAlive(), ['-> keep-alive', '<- keep-alive']],
    [
      () => leecher.requests([3, 16384, 4]),
      [
        '-> request 3 offset 16384 length 4',
        '<- request 3 offset 16384 length 4',
        '-> piece 3 offset 16384 length 4',
        '<- piece 3 offset 16384 length 4'
      ]
    ],
    [
      () => leecher.extendedHandshake({ version: 'x', yourIp: '1.2.3.4' }),
      [
        "-> extended-handshake 'x' reqq 2000 lt_donthave=1 ut_metadata=2",
        "<- extended-handshake 'x' reqq 2000 lt_donthave=1 ut_metadata=2"
      ]
    ],
    [() => void dontHave.dontHave(5), ['-> lt_donthave 5', '<- lt_donthave 5']],
    [
      () => void seeder.extended('ut_metadata', Buffer.from('d8:msg_typei0e5:piecei3ee')),
      ['-> ut_metadata request 3', '<- ut_metadata request 3']
    ],
    [() => void seeder.extended('x_other', Uint8Array.of(1)), []]
  ]
  for (const [act, expected] of steps) {
    act()
    await turn()
    const got = lines
      .splice(0)
      .map((line) => line.replace(/^\d+ (?:Transmission 4\.0\.5|qBittorrent 4\.5\.2) /, ''))
    assert.deepEqual(got, expected)
  }
})

test('a wire made while the log is off writes nothing, nor does one after the log is switched off', async (t) => {
  const lines = collectLog(t, '')
  const [untraced] = await talk()
  createDebug.enable('piecewise:wire')
  untraced.have(1)
  await turn()
  assert.deepEqual(lines, [])
  const [traced] = await talk()
  assert.equal(lines.length, 4)
  createDebug.disable()
  traced.have(1)
  await turn()
  assert.equal(lines.length, 4)
})
