import {
  type AddOptions,
  type Client,
  type Magnet,
  type Metainfo,
  readSource,
  type Torrent
} from '../index.ts'
import { asError, isTorrentError } from '../util/errors.ts'
import type { Admission } from './admission.ts'
import type { ApiRequest } from './api-request.ts'
import { HttpError } from './respond.ts'
import type { CheckedOptions } from './server-options.ts'

/** Polling interval for a newly added torrent to appear in the client's list. */
const lookEveryMs = 10
const notALink = 'the source is not a magnet link, an info hash or an http(s) URL of a .torrent file'

/**
 * Adds the torrent of a request's body: `application/json` `{ source, paused?, select? }`, `text/plain` with the source, or the
 * bytes of a .torrent. A source is a magnet link, an info hash or an http(s) URL, never a path on this machine. For a magnet
 * link or an info hash, resolves as soon as the torrent is in the client's list; a later failure to get its metadata goes to `onFailure`.
 * For other sources, resolves when the files are known.
 * @throws HttpError 400 for an invalid source or a body that ends early, 413 for a body that is too long, 503 when all bodies
 * together exceed the limit.
 */
export async function addTorrent(
  client: Client,
  { request, response }: ApiRequest,
  { privateSources }: CheckedOptions,
  { limits, bodies }: Admission,
  onFailure: (error: Error) => void
): Promise<Torrent> {
  const type = (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase()
  if (type === 'application/json' || type === 'text/plain') {
    const text = (await bodies.read(request, response, limits.linkBytes)).toString()
    const { source, options } =
      type === 'text/plain' ? { source: text.trim(), options: {} } : parseAddBody(text)
    if (!isUrl(source)) return addLink(client, source, options, onFailure)
    // Users of the page must not reach other services on this machine or its network through the server.
    return orBadRequest(client.add(source, { ...options, trust: privateSources ? 'program' : 'remote' }))
  }
  const bytes = await bodies.read(request, response, limits.torrentBytes)
  // `client.add` treats 20 bytes as a bare info hash.
  if (bytes[0] !== 0x64) throw new HttpError(400, 'the body is not a .torrent file')
  return orBadRequest(client.add(bytes))
}

/** Returns whether a text is an http(s) URL, possibly in quotes. */
function isUrl(source: string): boolean {
  return /^["'`<“«]?\s*https?:\/\//i.test(source)
}

async function addLink(
  client: Client,
  source: string,
  options: AddOptions,
  onFailure: (error: Error) => void
): Promise<Torrent> {
  const { link, v1 } = await readLink(source)
  const added = client.add(link, options)
  const known = client.get(v1)
  if (known !== undefined) {
    added.catch(() => {})
    return known
  }
  // Polls instead of listening, because the program may call removeAllListeners() on its client.
  let timer: NodeJS.Timeout | undefined
  const seen = new Promise<Torrent>((resolve) => {
    timer = setInterval(() => {
      const torrent = client.get(v1)
      if (torrent !== undefined) resolve(torrent)
    }, lookEveryMs)
  })
  let listed = false
  added.catch((thrown) => {
    if (listed) onFailure(asError(thrown))
  })
  try {
    return await orBadRequest(Promise.race([seen, added]))
  } finally {
    listed = true
    clearInterval(timer)
  }
}

/** Parses a magnet link or info hash. @throws HttpError 400 */
async function readLink(source: string): Promise<{ link: Metainfo | Magnet; v1: Uint8Array }> {
  try {
    const link = await readSource(source, { trust: 'remote' })
    const { v1 } = link.infoHashes
    if (v1 !== undefined) return { link, v1 }
  } catch (thrown) {
    const isNone = isTorrentError(thrown) && thrown.code === 'ERR_METAINFO_SOURCE'
    throw new HttpError(400, isNone ? notALink : asError(thrown).message)
  }
  throw new HttpError(400, notALink)
}

function parseAddBody(text: string): { source: string; options: AddOptions } {
  const value = parseJson(text)
  const { source, paused = false, select = 'all' } = value
  if (typeof source !== 'string')
    throw new HttpError(400, 'source must be a magnet link, info hash or http address')
  if (typeof paused !== 'boolean') throw new HttpError(400, 'paused must be true or false')
  if (select !== 'all' && select !== 'none') throw new HttpError(400, "select must be 'all' or 'none'")
  return { source: source.trim(), options: { paused, ...(value['select'] === undefined ? {} : { select }) } }
}

/** Parses a JSON object. @throws HttpError 400 */
export function parseJson(text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (thrown) {
    throw new HttpError(400, `the body is not valid JSON: ${asError(thrown).message}`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new HttpError(400, 'the body must be an object')
  return { ...value }
}

/** Returns the added torrent; turns the client's refusal into an HttpError 400, because the request caused it. */
async function orBadRequest(added: Promise<Torrent>): Promise<Torrent> {
  try {
    return await added
  } catch (thrown) {
    throw new HttpError(400, asError(thrown).message)
  }
}
