// A private torrent (BEP 27) leaves no trace outside its trackers. Every packet of the client's host is
// captured.
import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import test, { type TestContext } from 'node:test'
import { createTorrent } from '../../lib/metainfo.ts'
import { encodeBase32 } from '../client/base32.ts'
import { until } from '../support/until.ts'
import { startDht } from './peers/dht-nodes.ts'
import { startTracker } from './peers/opentracker.ts'
import { type ClientTask, startClient } from './peers/piecewise.ts'
import { freePort } from './peers/real-peer.ts'
import {
  type Capture,
  captureNeeds,
  type Packet,
  startCapture,
  type Utterance,
  utterances
} from './support/capture.ts'
import { assertSameTree, infoHashOf, temporaryFolder, withNode, writeRandomFile } from './support/data.ts'
import { openLan } from './support/lan.ts'
import { needs } from './support/need.ts'
import { attempt, type Place, type Running, run, start } from './support/process.ts'

/** Packets by the trace that they leave. A public torrent sends each kind, and a private one must send none. */
const traces: Readonly<Record<string, (packet: Packet) => boolean>> = {
  dns: ({ toPort }) => toPort === 53 || toPort === 5353,
  multicast: ({ protocol, to }) => protocol === 'igmp' || /^(?:22[4-9]|23\d)\.|^ff/i.test(to),
  dht: ({ protocol, body }) => protocol === 'udp' && body.startsWith('64')
}

/** Milliseconds that the client stays after its required packets, so that later ones are captured too. */
const leisureMs = 4000

interface Stage {
  /** The place of the client, whose packets are captured. */
  readonly here: Place
  /** The place of the torrent's tracker and seed. */
  readonly there: Place
  /** A place with no host to which a private torrent may send. */
  readonly elsewhere: Place
  readonly folder: string
  readonly programs: Running[]
  readonly capture: Capture
}

/** Sets up three hosts. Everything that the first sends leaves it, to any destination. */
async function stage(t: TestContext): Promise<Stage> {
  const { folder, remove } = temporaryFolder('private')
  const lan = openLan(3)
  const programs: Running[] = []
  t.after(async () => {
    await Promise.all(programs.map((program) => program.stop()))
    lan.close()
    remove()
  })
  const [here, there, elsewhere] = lan.places
  assert.ok(here !== undefined && there !== undefined && elsewhere !== undefined)
  // Without a default route, forbidden packets would not even be sent.
  run([...here.enter, 'ip', 'route', 'replace', 'default', 'via', elsewhere.host])
  attempt([...here.enter, 'ip', '-6', 'route', 'add', 'default', 'dev', 'eth0'])
  const capture = await startCapture(here)
  programs.push(capture)
  return { here, there, elsewhere, folder, programs, capture }
}

/** A torrent with an HTTP and a UDP tracker, and a seed that they name. */
interface Film {
  readonly infoHash: string
  readonly data: string
  /** The client's task to download it; all sources of peers are on. */
  readonly task: ClientTask
  /** Returns whether a packet goes to one of the trackers or to a peer that they have named. */
  isExpected(packet: Omit<Packet, 'body'>): boolean
  /** Returns whether both trackers got an announce. */
  isAnnounced(said: readonly Utterance[]): boolean
  /** Returns whether the client has sent the seed a handshake. */
  isGreeted(said: readonly Utterance[]): boolean
}

/** Makes a torrent that also names a DHT node, and has it seeded. */
async function makeFilm(
  { here, there, folder, programs }: Stage,
  isPrivate: boolean,
  node: string
): Promise<Film> {
  const data = path.join(folder, 'data', 'film.bin')
  writeRandomFile(data, 3_000_000, 'private')
  const torrent = path.join(folder, 'film.torrent')
  writeFileSync(torrent, await createTorrent(data, { private: isPrivate }))
  const infoHash = infoHashOf(torrent)
  const tracker = await startTracker(there, folder, [infoHash])
  programs.push(tracker)
  const trackers = [tracker.httpUrl, tracker.udpUrl]
  writeFileSync(torrent, withNode(await createTorrent(data, { private: isPrivate, trackers }), node))
  const trackerPort = Number(new URL(tracker.httpUrl).port)
  const [port, seedPort] = [await freePort(), await freePort()]
  const seedTask = { torrent, folder: path.dirname(data), host: there.host, port: seedPort, pex: true }
  const seed = startClient('seed', there, seedTask)
  programs.push(seed)
  await seed.done
  const out = path.join(folder, 'out')
  mkdirSync(out)
  const state = path.join(folder, 'state')
  const raw = rawOf(infoHash)
  const isPeer = ({ toPort, fromPort }: Omit<Packet, 'body'>): boolean =>
    toPort === seedPort || fromPort === port
  const isTracker = ({ to, toPort }: Omit<Packet, 'body'>): boolean =>
    to === there.host && toPort === trackerPort
  return {
    infoHash,
    data,
    task: { torrent, folder: out, state, host: here.host, port, discovery: true },
    isExpected: (packet) => {
      const { protocol, to, fromPort, toPort } = packet
      if (protocol === 'udp') return isTracker(packet)
      if (protocol !== 'tcp') return false
      // The tracker lists us among the others, so the client meets itself once.
      if (to === here.host) return toPort === port || fromPort === port
      return isTracker(packet) || (to === there.host && isPeer(packet))
    },
    isAnnounced: (said) =>
      // The UDP announce comes after the request for a connection id, which is shorter and has no info hash.
      said.some((one) => one.protocol === 'tcp' && isTracker(one) && one.text.startsWith('GET /announce?')) &&
      said.some((one) => one.protocol === 'udp' && isTracker(one) && one.text.includes(raw)),
    isGreeted: (said) =>
      said.some((one) => one.to === there.host && isPeer(one) && isHandshake(one) && one.text.includes(raw))
  }
}

/**
 * Runs the client until it is complete and `enough` was sent, and a while longer. Returns all that was sent.
 */
async function visit(
  { here, programs, capture }: Stage,
  task: ClientTask,
  enough: (said: readonly Utterance[]) => boolean
): Promise<readonly Packet[]> {
  const from = capture.packets.length
  const client = startClient('client', here, task, 60_000)
  programs.push(client)
  await client.done
  await until('all to be said', () => enough(utterances(capture.packets.slice(from))), {
    ...{ timeoutMs: 60_000, everyMs: 250, programs: [client] }
  })
  await new Promise((resolve) => setTimeout(resolve, leisureMs))
  client.signal('SIGTERM')
  // The process may last longer: the system's resolver cannot be interrupted.
  await until('the client to close', () => client.report()?.event === 'closed', { programs: [client] })
  await client.stop()
  return capture.packets.slice(from)
}

/** Ways in which a client gets its torrents: added, restored, or restored without metadata. */
const comings: [how: string, change: (film: Film) => Partial<ClientTask>][] = [
  ['added', () => ({})],
  ['restored', () => ({ restored: true })],
  [
    'restored without its metadata',
    ({ task: { state = '' }, infoHash }) => {
      rmSync(path.join(state, `${infoHash}.torrent`))
      return { restored: true, others: [] }
    }
  ]
]

function rawOf(infoHash: string): string {
  return Buffer.from(infoHash, 'hex').toString('latin1')
}

/** Returns whether a text contains an info hash in any of its encodings. */
function names(text: string, infoHash: string): boolean {
  const base32 = encodeBase32(Buffer.from(infoHash, 'hex')).toLowerCase()
  const lower = text.toLowerCase()
  return text.includes(rawOf(infoHash)) || lower.includes(infoHash) || lower.includes(base32)
}

function isHandshake({ protocol, text }: Utterance): boolean {
  return protocol === 'tcp' && text.startsWith('\x13BitTorrent protocol')
}

/** Returns whether a handshake announces a DHT node (BEP 5). */
function tellsOfDht({ text }: Utterance): boolean {
  return (text.charCodeAt(27) & 1) !== 0
}

const needed = [...captureNeeds, 'opentracker']

test('the capture sees every kind of trace', needs(needed, 60_000), async (t) => {
  const { here, capture, programs } = await stage(t)
  const script = `
    const { createSocket } = require('node:dgram')
    const { Resolver } = require('node:dns')
    const resolver = new Resolver()
    resolver.setServers(['192.0.2.53'])
    resolver.resolve4('tracker.example', () => {})
    const socket = createSocket('udp4')
    socket.bind(0, '${here.host}', () => {
      socket.addMembership('239.192.152.143', '${here.host}')
      socket.setMulticastInterface('${here.host}')
      socket.send('BT-SEARCH * HTTP/1.1', 6771, '239.192.152.143')
      socket.send('d1:ad2:id20:aaaaaaaaaaaaaaaaaaaae1:q4:ping1:t2:aa1:y1:qe', 6881, '192.0.2.1')
    })
    setTimeout(() => {}, 60_000)`
  programs.push(start('chatter', [process.execPath, '-e', script], { place: here }))
  // The kernel reports a joined group at any time.
  const all = [...Object.values(traces), ({ protocol }: Packet) => protocol === 'igmp']
  await until('all to be seen', () => all.every((is) => capture.packets.some(is)), { timeoutMs: 20_000 })
})

test(
  'a private torrent contacts its trackers and their peers alone, also after a restart',
  needs(needed, 240_000),
  async (t) => {
    const scene = await stage(t)
    const nodes = await startDht(scene.elsewhere, [scene.elsewhere.host])
    scene.programs.push(nodes)
    const film = await makeFilm(scene, true, nodes.addresses[0] ?? '')
    for (const [how, change] of comings) {
      const sent = await visit(scene, { ...film.task, ...change(film) }, film.isAnnounced)
      assert.deepEqual(
        sent.filter((packet) => !film.isExpected(packet)),
        [],
        how
      )
      // Two seeds have nothing to exchange.
      if (how !== 'restored') assert.ok(film.isGreeted(utterances(sent)), `${how}: the seed was met`)
      assertSameTree(film.data, path.join(film.task.folder, 'film.bin'))
    }
  }
)

test('a public torrent leaves every kind of trace', needs(needed, 120_000), async (t) => {
  const scene = await stage(t)
  const nodes = await startDht(scene.elsewhere, [scene.elsewhere.host])
  scene.programs.push(nodes)
  const film = await makeFilm(scene, false, nodes.addresses[0] ?? '')
  const { capture } = scene
  // Waits for the traces.
  await visit(
    scene,
    film.task,
    (said) => film.isAnnounced(said) && Object.values(traces).every((is) => capture.packets.some(is))
  )
})

test(
  'beside a public torrent in the DHT, LSD and PEX a private one is in none of them',
  needs(needed, 300_000),
  async (t) => {
    const scene = await stage(t)
    const { here, there, elsewhere, folder, programs } = scene
    const nodes = await startDht(elsewhere, [elsewhere.host])
    programs.push(nodes)
    const [dht = ''] = nodes.addresses
    // Packets to a node that only the private torrent names show up among those to its host.
    const film = await makeFilm(scene, true, `${there.host}:${await freePort()}`)
    const open = path.join(folder, 'open', 'open.bin')
    writeRandomFile(open, 8_000_000, 'public')
    const torrent = path.join(folder, 'open.torrent')
    writeFileSync(torrent, await createTorrent(open))
    const openHash = infoHashOf(torrent)
    // They are slow, so that in each run there are two peers to tell of each other.
    for (const name of ['slow', 'slower']) {
      const to = path.join(folder, name)
      mkdirSync(to)
      programs.push(
        startClient(name, elsewhere, {
          ...{ torrent, folder: to, host: elsewhere.host, port: await freePort(), pex: true, dht },
          ...{ peers: [`${here.host}:${film.task.port}`], downloadLimit: 10_000 }
        })
      )
    }
    const ofOpen: Readonly<Record<string, (one: Utterance) => boolean>> = {
      'a look-up in the DHT': ({ protocol, text }) =>
        protocol === 'udp' && text.includes('1:q9:get_peers') && text.includes(rawOf(openHash)),
      'an announce in the DHT': ({ protocol, text }) =>
        protocol === 'udp' && text.includes('1:q13:announce_peer') && text.includes(rawOf(openHash)),
      'an announce to the local network': ({ protocol, toPort, text }) =>
        protocol === 'udp' && toPort === 6771 && text.includes(openHash),
      'peers told to peers': (one) =>
        isHandshake(one) &&
        one.text.includes(rawOf(openHash)) &&
        tellsOfDht(one) &&
        one.text.includes('6:ut_pex') &&
        /5:added[1-9]/.test(one.text)
    }
    for (const [how, change] of comings) {
      const others = [{ torrent, folder: path.dirname(open) }]
      const sent = await visit(
        scene,
        { ...film.task, dht, others, ...change(film) },
        (said) => film.isAnnounced(said) && Object.values(ofOpen).every((is) => said.some(is))
      )
      const said = utterances(sent)
      // All traces of the public torrent were captured while the private one was active.
      for (const [what, is] of Object.entries(ofOpen)) assert.ok(said.some(is), `${how}: ${what}`)
      const isStray = (packet: Omit<Packet, 'body'>): boolean => !film.isExpected(packet)
      assert.deepEqual(
        said.filter((one) => isStray(one) && (one.to === there.host || names(one.text, film.infoHash))),
        [],
        how
      )
      const greetings = said.filter((one) => isHandshake(one) && names(one.text, film.infoHash))
      if (how !== 'restored') assert.ok(film.isGreeted(greetings), `${how}: the seed was met`)
      assert.deepEqual(
        greetings.filter((one) => one.text.includes('ut_pex') || tellsOfDht(one)),
        [],
        how
      )
    }
    assertSameTree(film.data, path.join(film.task.folder, 'film.bin'))
  }
)
