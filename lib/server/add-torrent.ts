import type { IncomingMessage } from 'node:http'
import type { AddOptions, Client, Torrent } from '../index.ts'
import { parseMagnet } from '../metainfo.ts'
import { fromBase32, fromHex, toHex } from '../util/bytes.ts'
import { asError } from '../util/errors.ts'
import { HttpError, readBody } from './respond.ts'

const mostTextBytes = 64 << 10
/** How often it is looked whether a torrent that was just added stands in the list. */
const lookEveryMs = 10
/** Real .torrent files of a million pieces have 20 MB. */
const mostTorrentBytes = 32 << 20

/**
 * Adds the torrent of a request's body: `application/json` `{ source, paused?, select? }`, `text/plain` with the source, or the bytes of a
 * .torrent. A source is a magnet link, an info hash or an http(s) address, and never a path of this machine. Resolves as soon as the
 * torrent stands in the list; `onFailure` hears when its files cannot be had after that.
 * @throws HttpError 400 for what cannot be added, 413 for what is too long.
 */
export async function addTorrent(
  client: Client,
  request: IncomingMessage,
  onFailure: (error: Error) => void
): Promise<Torrent> {
  const type = (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase()
  if (type === 'application/json' || type === 'text/plain') {
    const text = (await readBody(request, mostTextBytes)).toString()
    const { source, options } =
      type === 'text/plain' ? { source: text.trim(), options: {} } : parseOrder(text)
    return addText(client, source, options, onFailure)
  }
  return refuse(client.add(new Uint8Array(await readBytes(request))))
}

async function readBytes(request: IncomingMessage): Promise<Buffer> {
  const bytes = await readBody(request, mostTorrentBytes)
  // 20 bytes would count as a bare info hash.
  if (bytes[0] !== 0x64) throw new HttpError(400, 'the body is no .torrent file')
  return bytes
}

async function addText(
  client: Client,
  source: string,
  options: AddOptions,
  onFailure: (error: Error) => void
): Promise<Torrent> {
  if (/^https?:\/\//i.test(source)) return refuse(client.add(source, options))
  const infoHash = hashOf(source)
  if (infoHash === undefined) {
    throw new HttpError(400, 'that is no magnet link, info hash, or http address of a .torrent file')
  }
  const added = client.add(source, options)
  const known = client.get(infoHash)
  if (known !== undefined) {
    added.catch(() => {})
    return known
  }
  // Looked for and not listened for: a program may take all listeners off its client.
  let timer: NodeJS.Timeout | undefined
  const seen = new Promise<Torrent>((resolve) => {
    timer = setInterval(() => {
      const torrent = client.get(infoHash)
      if (torrent !== undefined) resolve(torrent)
    }, lookEveryMs)
  })
  let listed = false
  added.catch((thrown) => {
    if (listed) onFailure(asError(thrown))
  })
  try {
    return await refuse(Promise.race([seen, added]))
  } finally {
    listed = true
    clearInterval(timer)
  }
}

function hashOf(source: string): string | undefined {
  try {
    if (/^magnet:/i.test(source)) {
      const { v1 } = parseMagnet(source).infoHashes
      return v1 === undefined ? undefined : toHex(v1)
    }
  } catch (thrown) {
    throw new HttpError(400, asError(thrown).message)
  }
  const bytes = source.length === 40 ? fromHex(source) : source.length === 32 ? fromBase32(source) : undefined
  return bytes === undefined ? undefined : toHex(bytes)
}

function parseOrder(text: string): { source: string; options: AddOptions } {
  const value = parseJson(text)
  const { source, paused = false, select = 'all' } = value
  if (typeof source !== 'string')
    throw new HttpError(400, 'source must be a magnet link, info hash or http address')
  if (typeof paused !== 'boolean') throw new HttpError(400, 'paused must be true or false')
  if (select !== 'all' && select !== 'none') throw new HttpError(400, "select must be 'all' or 'none'")
  return { source: source.trim(), options: { paused, ...(value['select'] === undefined ? {} : { select }) } }
}

/** The object that a JSON text is. @throws HttpError 400 */
export function parseJson(text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (thrown) {
    throw new HttpError(400, `the body is no JSON: ${asError(thrown).message}`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new HttpError(400, 'the body must be an object')
  return { ...value }
}

/** What a client refuses is the fault of who asked. */
async function refuse(added: Promise<Torrent>): Promise<Torrent> {
  try {
    return await added
  } catch (thrown) {
    throw new HttpError(400, asError(thrown).message)
  }
}
