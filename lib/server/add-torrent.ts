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

/** How often it is looked whether a torrent that was just added stands in the list. */
const lookEveryMs = 10
const notALink = 'that is no magnet link, info hash, or http address of a .torrent file'

/**
 * Adds the torrent of a request's body: `application/json` `{ source, paused?, select? }`, `text/plain` with the source, or the bytes of a
 * .torrent. A source is a magnet link, an info hash or an http(s) address, and never a path of this machine. Resolves as soon as the
 * torrent stands in the list; `onFailure` hears when its files cannot be had after that.
 * @throws HttpError 400 for what cannot be added, 413 for what is too long.
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
      type === 'text/plain' ? { source: text.trim(), options: {} } : parseOrder(text)
    if (!isUrl(source)) return addLink(client, source, options, onFailure)
    // A visitor of the page must not reach other services on this machine or its network through it.
    return refuse(client.add(source, { ...options, trust: privateSources ? 'program' : 'remote' }))
  }
  const bytes = await bodies.read(request, response, limits.torrentBytes)
  // 20 bytes would count as a bare info hash.
  if (bytes[0] !== 0x64) throw new HttpError(400, 'the body is no .torrent file')
  return refuse(client.add(bytes))
}

/** Whether a text is an http address, maybe in quotes. */
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
  // Looked for and not listened for: a program may take all listeners off its client.
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
    return await refuse(Promise.race([seen, added]))
  } finally {
    listed = true
    clearInterval(timer)
  }
}

/** The magnet link or info hash that a text is. @throws HttpError 400 */
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
