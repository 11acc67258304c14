// A private torrent (BEP 27) leaves no trace outside its trackers: every packet of the client's host is captured.
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import test, { type TestContext } from 'node:test'
import { createTorrent } from '../../lib/metainfo.ts'
import { startTracker } from './peers/opentracker.ts'
import { startClient } from './peers/piecewise.ts'
import { freePort } from './peers/real-peer.ts'
import { type Capture, captureNeeds, type Packet, startCapture } from './support/capture.ts'
import {
  assertSameTree,
  infoHashOf,
  temporaryFolder,
  writeRandomFile,
  writeWithTracker
} from './support/data.ts'
import { openPlaces, type Places } from './support/namespaces.ts'
import { needs } from './support/need.ts'
import { attempt, type Running, run, start, until } from './support/process.ts'

/** Packets by what they give away; each is a kind that a public torrent may send and a private one must not. */
const traces: Readonly<Record<string, (packet: Packet) => boolean>> = {
  dns: ({ toPort }) => toPort === 53 || toPort === 5353,
  multicast: ({ protocol, to }) => protocol === 'igmp' || /^(?:22[4-9]|23\d)\.|^ff/i.test(to),
  dht: ({ protocol, head }) => protocol === 'udp' && head.startsWith('64')
}

/** What is to be seen of a public torrent with the same settings: a kind of trace as soon as what sends it is part of a client. */
const ofPublic: readonly (keyof typeof traces)[] = ['multicast', 'dns']

/** How long the client stays after it is complete: what it sends at leisure is seen too. */
const leisureMs = 4000

interface Stage {
  readonly places: Places
  readonly folder: string
  readonly programs: Running[]
  readonly capture: Capture
}

/** Two hosts; whatever the first sends leaves it, wherever to. */
async function stage(t: TestContext): Promise<Stage> {
  const { folder, remove } = temporaryFolder('private')
  const places = openPlaces()
  const programs: Running[] = []
  t.after(async () => {
    await Promise.all(programs.map((program) => program.stop()))
    places.close()
    remove()
  })
  const { a, b } = places
  // Without a way out, what has no business there would not even be sent.
  run([...a.enter, 'ip', 'route', 'add', 'default', 'via', b.host])
  attempt([...a.enter, 'ip', '-6', 'route', 'add', 'default', 'dev', 'eth0'])
  const capture = await startCapture(a)
  programs.push(capture)
  return { places, folder, programs, capture }
}

/** Downloads a torrent in the first place from a seed in the second, and returns what was sent besides. */
async function strayPackets(
  { places, folder, programs, capture }: Stage,
  isPrivate: boolean
): Promise<readonly Packet[]> {
  const { a, b } = places
  const data = path.join(folder, 'data', 'film.bin')
  writeRandomFile(data, 3_000_000, 'private')
  const bare = path.join(folder, 'bare.torrent')
  writeFileSync(bare, await createTorrent(data, { private: isPrivate }))
  const tracker = await startTracker(b, folder, [infoHashOf(bare)])
  programs.push(tracker)
  const torrent = path.join(folder, 'film.torrent')
  writeWithTracker(bare, tracker.httpUrl, torrent)
  const port = await freePort()
  const seedPort = await freePort()
  const seed = startClient('seed', b, { torrent, folder: path.dirname(data), host: b.host, port: seedPort })
  programs.push(seed)
  await seed.done
  const out = path.join(folder, 'out')
  mkdirSync(out)
  const task = { torrent, folder: out, host: a.host, port, discovery: true }
  const client = startClient('client', a, task)
  programs.push(client)
  await client.done
  await new Promise((resolve) => setTimeout(resolve, leisureMs))
  await client.stop()
  assertSameTree(data, path.join(out, 'film.bin'))
  const trackerPort = Number(new URL(tracker.httpUrl).port)
  // The tracker names us among the others, so the client meets itself once.
  const isExpected = ({ protocol, to, fromPort, toPort }: Packet): boolean =>
    protocol === 'tcp' &&
    ((to === b.host && (toPort === trackerPort || toPort === seedPort || fromPort === port)) ||
      (to === a.host && (toPort === port || fromPort === port)))
  assert.ok(
    capture.packets.some((packet) => packet.toPort === trackerPort && isExpected(packet)),
    'the tracker was asked'
  )
  assert.ok(
    capture.packets.some(
      (packet) => (packet.toPort === seedPort || packet.fromPort === port) && isExpected(packet)
    ),
    'the seed was met'
  )
  return capture.packets.filter((packet) => !isExpected(packet))
}

const needed = [...captureNeeds, 'opentracker']

test('the capture sees every kind of trace', needs(needed, 60_000), async (t) => {
  const { places, capture, programs } = await stage(t)
  const script = `
    const { createSocket } = require('node:dgram')
    const { Resolver } = require('node:dns')
    const resolver = new Resolver()
    resolver.setServers(['192.0.2.53'])
    resolver.resolve4('tracker.example', () => {})
    const socket = createSocket('udp4')
    socket.bind(0, '${places.a.host}', () => {
      socket.addMembership('239.192.152.143', '${places.a.host}')
      socket.setMulticastInterface('${places.a.host}')
      socket.send('BT-SEARCH * HTTP/1.1', 6771, '239.192.152.143')
      socket.send('d1:ad2:id20:aaaaaaaaaaaaaaaaaaaae1:q4:ping1:t2:aa1:y1:qe', 6881, '192.0.2.1')
    })
    setTimeout(() => {}, 60_000)`
  programs.push(start('chatter', [process.execPath, '-e', script], { place: places.a }))
  await until('all to be seen', () => Object.values(traces).every((is) => capture.packets.some(is)), {
    timeoutMs: 20_000
  })
  assert.ok(capture.packets.some(({ protocol }) => protocol === 'igmp'))
})

test(
  'a private torrent speaks to its tracker and that tracker’s peers alone',
  needs(needed, 90_000),
  async (t) => {
    assert.deepEqual(await strayPackets(await stage(t), true), [])
  }
)

test('of a public torrent more is seen', needs(needed, 90_000), async (t) => {
  const packets = await strayPackets(await stage(t), false)
  for (const kind of ofPublic)
    assert.ok(
      packets.some((packet) => traces[kind]?.(packet) === true),
      kind
    )
})
