import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { type Magnet, type Metainfo, parseMagnet, parseTorrent } from '../metainfo.ts'
import { fromBase32, fromHex } from '../util/bytes.ts'
import { asError, isError, systemCode, TorrentError } from '../util/errors.ts'

/** The longest .torrent that is fetched. */
const maxBytes = 64 << 20
const fetchMs = 30_000

/**
 * Reads what a source says of itself, without asking any peer: a .torrent (path or URL), a magnet link or an info hash
 * (hex or base32), as `client.add` takes them.
 * @throws TorrentError when it cannot be read, or is none of these.
 */
export async function readTorrent(given: string): Promise<Metainfo | Magnet> {
  const source = given.trim()
  if (/^magnet:/i.test(source)) return parseMagnet(source)
  const hash = source.length === 40 ? fromHex(source) : source.length === 32 ? fromBase32(source) : undefined
  if (hash !== undefined) return { infoHashes: { v1: hash }, trackers: [], peers: [], webSeeds: [] }
  const bytes = /^https?:\/\//i.test(source) ? await fetchBytes(source) : await readBytes(source)
  try {
    return parseTorrent(bytes)
  } catch (cause) {
    const code = cause instanceof TorrentError ? cause.code : 'ERR_METAINFO_INVALID'
    throw new TorrentError(code, `${source} is no usable .torrent file: ${asError(cause).message}`, { cause })
  }
}

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(/^file:/i.test(path) ? fileURLToPath(path) : path)
  } catch (cause) {
    const missing = systemCode(cause) === 'ENOENT'
    const reason = missing ? 'there is no such file' : asError(cause).message
    throw new TorrentError('ERR_CLIENT_SOURCE', `${path} could not be read: ${reason}`, { cause })
  }
}

async function fetchBytes(url: string): Promise<Uint8Array> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(fetchMs) })
    if (!response.ok) throw new Error(`the server answered ${response.status}`)
    const chunks: Uint8Array[] = []
    let length = 0
    for await (const chunk of response.body ?? []) {
      length += chunk.length
      if (length > maxBytes) throw new Error(`it is longer than ${maxBytes} bytes`)
      chunks.push(chunk)
    }
    return Buffer.concat(chunks)
  } catch (thrown) {
    const cause = asError(thrown)
    const reason = isError(cause.cause) ? cause.cause.message : cause.message
    throw new TorrentError('ERR_CLIENT_SOURCE', `${url} could not be fetched: ${reason}`, { cause })
  }
}
