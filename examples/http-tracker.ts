// A small HTTP tracker (BEP 3) with compact peers (BEP 23). IPv4 only; it forgets peers after half an hour.
//   node dist/examples/http-tracker.js [port]
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { fileURLToPath } from 'node:url'
import { encode } from 'piecewise/bencode'

/** A running tracker. */
export interface Tracker {
  readonly announceUrl: string
  close(): Promise<void>
}

interface KnownPeer {
  /** Four bytes of address and two of port. */
  readonly compact: Buffer
  readonly left: bigint
  readonly seenMs: number
}

const intervalSeconds = 900
const mostPeers = 50

/** Starts a tracker on loopback. */
export async function startTracker({ port = 0 }: { readonly port?: number } = {}): Promise<Tracker> {
  const swarms = new Map<string, Map<string, KnownPeer>>()
  const server = createServer((request, response) => {
    response.setHeader('content-type', 'text/plain')
    response.end(answer(request, swarms))
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const bound = typeof address === 'object' && address !== null ? address.port : port
  return {
    announceUrl: `http://127.0.0.1:${bound}/announce`,
    async close() {
      server.close()
      server.closeAllConnections()
      if (server.listening) await once(server, 'close')
    }
  }
}

function answer(request: IncomingMessage, swarms: Map<string, Map<string, KnownPeer>>): Uint8Array {
  const [path, query = ''] = (request.url ?? '').split('?')
  const fields = new Map(query.split('&').map((field) => split(field)))
  const infoHash = bytesOf(fields.get('info_hash'))
  const peerId = bytesOf(fields.get('peer_id')).toString('hex')
  const port = Number(fields.get('port'))
  const host = (request.socket.remoteAddress ?? '')
    .replace(/^::ffff:/, '')
    .split('.')
    .map(Number)
  const isGood =
    path === '/announce' && infoHash.length === 20 && port > 0 && port < 65536 && host.length === 4
  if (!isGood) return encode({ 'failure reason': 'info_hash, peer_id and port are needed, over IPv4' })
  const swarm = swarms.get(infoHash.toString('hex')) ?? new Map<string, KnownPeer>()
  swarms.set(infoHash.toString('hex'), swarm)
  const now = Date.now()
  for (const [id, { seenMs }] of swarm) if (now - seenMs > 2 * intervalSeconds * 1000) swarm.delete(id)
  if (fields.get('event') === 'stopped') swarm.delete(peerId)
  else {
    const compact = Buffer.from([...host, port >> 8, port & 0xff])
    const left = /^\d{1,18}$/.test(fields.get('left') ?? '') ? BigInt(fields.get('left') ?? 0) : 0n
    swarm.set(peerId, { compact, left, seenMs: now })
  }
  const known = [...swarm.values()]
  const others = [...swarm].filter(([id]) => id !== peerId).slice(0, mostPeers)
  return encode({
    interval: intervalSeconds,
    complete: known.filter(({ left }) => left === 0n).length,
    incomplete: known.filter(({ left }) => left > 0n).length,
    peers: Buffer.concat(others.map(([, { compact }]) => compact))
  })
}

function split(field: string): [string, string] {
  const at = field.indexOf('=')
  return at < 0 ? [field, ''] : [field.slice(0, at), field.slice(at + 1)]
}

/** Decodes percent-encoded bytes, which need not be UTF-8. */
function bytesOf(text = ''): Buffer {
  const latin1 = text
    .replace(/\+/g, ' ')
    .replace(/%([\da-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(latin1, 'latin1')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const tracker = await startTracker({ port: Number(process.argv[2] ?? 6969) })
  console.log(tracker.announceUrl)
}
