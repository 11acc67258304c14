import { isTorrentError } from '../../../lib/util/errors.ts'
import { WireDecoder } from '../../../lib/wire/decoder.ts'
import { defaultWireLimits } from '../../../lib/wire/limits.ts'
import { DontHaveExtension } from '../../../lib/wire/lt-donthave.ts'
import { formatReserved, parseReserved, protocolHeader } from '../../../lib/wire/messages.ts'
import { OwnState } from '../../../lib/wire/own-state.ts'
import { PeerMessages } from '../../../lib/wire/peer-messages.ts'
import { PeerState } from '../../../lib/wire/peer-state.ts'
import { UploadOnlyExtension } from '../../../lib/wire/upload-only.ts'
import { MetadataExtension } from '../../../lib/wire/ut-metadata.ts'
import { PexExtension } from '../../../lib/wire/ut-pex.ts'
import { Wire } from '../../../lib/wire/wire.ts'
import type { WireEvents } from '../../../lib/wire/wire-events.ts'
import { joinBytes } from '../mutate-bytes.ts'
import type { Check, Target } from '../target.ts'

const pieceCount = 1000
const lengths = { pieceLength: 32768, totalLength: 32768 * pieceCount - 5 }
const handshake = joinBytes(
  protocolHeader,
  Uint8Array.of(0, 0, 0, 0, 0, 0x10, 0, 5),
  new Uint8Array(40).fill(7)
)

/**
 * A peer's bytes after its handshake: in one chunk, in random chunks, and through a whole wire with its
 * extensions.
 */
export const wire: Target = {
  name: 'wire',
  grammar: 'bytes',
  corpus: ['wire'],
  maxBytes: 256 << 10,
  async run(input, check) {
    // Occasionally the handshake itself is mutated.
    const bytes = input[0] === 19 ? input : joinBytes(handshake, input)
    const flags = parseReserved(bytes.subarray(20, 28))
    check.equal(parseReserved(formatReserved(flags)), flags, 'parseReserved(formatReserved(x)) is not x')
    const events = check.turn(() => eventsOf([bytes], false))
    const chunks = chunksOf(bytes, check)
    check.equal(eventsOf(chunks, false), events, 'random chunks give other messages')
    check.equal(eventsOf(chunks, true), events, 'memory for blocks changes the messages')
    await throughWire(chunks, check)
    return countsOf(events)
  }
}

/** Returns the count of each message by powers of two, and the last message. */
function countsOf(events: readonly string[]): unknown {
  const counts = new Map<string, number>()
  for (const event of events) {
    const name = event.replace(/ .*/, '')
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  const names = [...counts].map(([name, count]) => `${name} ${Math.ceil(Math.log2(count))}`)
  return Object.fromEntries(
    [...names.sort(), events.at(-1)?.replace(/\d+/g, '').slice(0, 40) ?? ''].map((name) => [name, 1])
  )
}

function chunksOf(bytes: Uint8Array, { random }: Check): Uint8Array[] {
  const most = random.pick([1, 7, 100, 20_000])
  const chunks: Uint8Array[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = at + 1 + random.below(most)
    chunks.push(bytes.subarray(at, end))
    at = end
  }
  return chunks
}

/** Returns messages and fault as texts, for a peer of a torrent with 1000 pieces. */
function eventsOf(chunks: readonly Uint8Array[], givesMemory: boolean): string[] {
  const events: string[] = []
  const tell = (name: string, ...values: unknown[]): number =>
    events.push(`${name} ${values.map(textOf).join(' ')}`)
  const faults = {
    oddMessage: (what: string) => void tell('odd', what),
    bulkMessage: () => {},
    choke: () => {},
    extendedHandshake: () => {}
  }
  const requests = {
    request(...values: number[]): number {
      tell('request', ...values)
      return 0
    },
    oddRequest: (...values: number[]) => void tell('odd-request', ...values),
    cancel(...values: number[]): number {
      tell('cancel', ...values)
      return 0
    }
  }
  const extensions = {
    onHandshake: () => {},
    onMessage: (id: number, payload: Uint8Array) => void tell('extended', id, payload)
  }
  const receiver = {
    emit: <E extends keyof WireEvents>(name: E, ...values: WireEvents[E]) =>
      void tell(String(name), ...(name === 'piece' ? values.slice(0, 3) : values)),
    blockTarget: (_piece: number, _offset: number, length: number) =>
      givesMemory ? new Uint8Array(length) : undefined
  }
  const own = new OwnState({ fast: true, extended: true, dht: true }, defaultWireLimits)
  const peer = new PeerState(defaultWireLimits.pieceCount, faults, pieceCount, lengths)
  const messages = new PeerMessages(own, peer, faults, requests, extensions, receiver)
  const decoder = new WireDecoder(messages, defaultWireLimits)
  try {
    for (const chunk of chunks) {
      const end = decoder.push(chunk)
      if (end !== chunk.length) tell(`left ${chunk.length - end}`)
    }
  } catch (thrown) {
    // The code for an impossible message length depends on whether the id came with the length.
    if (!isTorrentError(thrown)) throw thrown
    tell('error')
  }
  return events
}

function textOf(value: unknown): string {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  return JSON.stringify(value, (_, item) => (item instanceof Map ? [...item] : item)) ?? ''
}

/** Feeds a wire that has all extensions and answers requests, until it has handled everything or closed. */
async function throughWire(chunks: readonly Uint8Array[], check: Check): Promise<void> {
  const wire = new Wire({ pieceCount, ...lengths, dht: true })
  let fault: unknown
  wire.on('error', (error) => {
    fault = error
  })
  wire.on('data', () => {})
  const closed = new Promise<void>((resolve) => wire.once('close', () => resolve()))
  wire.use(new MetadataExtension(wire, { onData: () => {}, onRequest: () => {} }))
  wire.use(new PexExtension(wire, { onPeers: () => {} }))
  wire.use(new DontHaveExtension(wire))
  wire.use(new UploadOnlyExtension(wire, () => {}))
  wire.on('request', (piece, offset, length) => wire.piece(piece, offset, new Uint8Array(length)))
  wire.on('interested', () => wire.unchoke())
  wire.handshake(new Uint8Array(20), new Uint8Array(20))
  wire.extendedHandshake()
  for (const chunk of chunks) {
    if (check.turn(() => wire.receive(chunk)) || wire.destroyed) continue
    await Promise.race([closed, new Promise<void>((resolve) => wire.once('receivable', resolve))])
  }
  wire.destroy()
  await closed
  if (fault !== undefined && !isTorrentError(fault)) throw fault
}
