import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import http, { type IncomingHttpHeaders, type OutgoingHttpHeaders, type Server } from 'node:http'
import net, { type Socket } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import type { TestContext } from 'node:test'
import { Client, type Torrent } from '../../lib/index.ts'
import { type ServerLimits, serverLimits } from '../../lib/server/limits.ts'
import { checkServerOptions } from '../../lib/server/server-options.ts'
import { TorrentServer } from '../../lib/server/torrent-server.ts'
import { createServer, type ServerOptions } from '../../lib/server.ts'
import { whenClosed } from '../support/closed.ts'

/** Returns random-looking bytes that depend on the length alone. */
export function bytesOf(length: number): Buffer {
  const blocks: Buffer[] = []
  for (let at = 0; at < length; at += 32) blocks.push(createHash('sha256').update(String(at)).digest())
  return Buffer.concat(blocks).subarray(0, length)
}

/** Makes a folder that is removed after the test. */
export function folderOf(t: TestContext): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'piecewise-server-'))
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))
  return folder
}

/** Starts a client without torrents, closed after the test. */
export function clientOf(t: TestContext): Client {
  const client = new Client({
    host: '127.0.0.1',
    dht: false,
    lsd: false,
    path: path.join(folderOf(t), 'data')
  })
  t.after(() => client.close())
  return client
}

/** Starts a client that seeds a torrent named `set` of these files. */
export async function seed(
  t: TestContext,
  files: Readonly<Record<string, string | Uint8Array>>
): Promise<{ client: Client; torrent: Torrent }> {
  const folder = path.join(folderOf(t), 'set')
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true })
    writeFileSync(path.join(folder, name), content)
  }
  const client = clientOf(t)
  return { client, torrent: await client.seed(folder, { pieceLength: 16384 }) }
}

/** Makes a torrent without peers and data: its streams wait until they are closed. */
export async function lonely(
  t: TestContext,
  files: Readonly<Record<string, string | Uint8Array>>
): Promise<{ client: Client; torrent: Torrent }> {
  const { client: seeder, torrent } = await seed(t, files)
  const bytes = torrent.torrentFile ?? new Uint8Array()
  await seeder.close()
  const client = clientOf(t)
  return { client, torrent: await client.add(bytes) }
}

/** Starts a server on loopback, closed after the test. */
export async function serve(
  t: TestContext,
  source: Client | Torrent,
  options: ServerOptions = {},
  limits?: Partial<ServerLimits>
): Promise<{ server: Server; port: number }> {
  const server =
    limits === undefined
      ? createServer(source, options)
      : new TorrentServer(source, checkServerOptions(options), { ...serverLimits, ...limits })
  server.listen(0)
  t.after(() => server.close())
  await once(server, 'listening')
  return { server, port: portOf(server) }
}

export function portOf(server: Server): number {
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('the server is not listening')
  return address.port
}

export interface Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  readonly text: string
}

/** Sends one request on a connection of its own. */
export async function ask(
  port: number,
  url: string,
  {
    method = 'GET',
    headers = {},
    body
  }: { method?: string; headers?: OutgoingHttpHeaders; body?: string | Uint8Array } = {}
): Promise<Reply> {
  const request = http.request({ host: '127.0.0.1', port, path: url, method, headers, agent: false })
  request.end(body)
  const [response] = await once(request, 'response')
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk)
  const whole = Buffer.concat(chunks)
  return { status: response.statusCode, headers: response.headers, body: whole, text: whole.toString() }
}

/** Opens a raw connection, destroyed after the test. */
export async function connect(t: TestContext, port: number): Promise<Socket> {
  const socket = net.connect(port, '127.0.0.1')
  socket.on('error', () => {})
  t.after(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

/** Reads everything from a connection until it is closed. */
export async function readAll(socket: Socket): Promise<string> {
  let text = ''
  socket.setEncoding('latin1').on('data', (chunk) => {
    text += chunk
  })
  await whenClosed(socket)
  return text
}
