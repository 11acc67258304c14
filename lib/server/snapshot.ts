import type { Client, PieceCell, Torrent } from '../index.ts'
import { systemCode } from '../util/errors.ts'
import { urlPath } from './shelf.ts'

/** Files and peers that are shown; a page could not show more at once anyway. */
export const mostFilesShown = 2000
const mostPeersShown = 200

/** An error as JSON. */
export interface TorrentFault {
  /** A code of `errorCodes`; null for an error of another kind. */
  readonly code: string | null
  readonly message: string
}

/** A line about a torrent. */
export interface TorrentSummary {
  readonly infoHash: string
  readonly name: string
  readonly status: string
  /** Why it has stopped; null unless `status` is `error`. */
  readonly error: TorrentFault | null
  readonly length: number
  readonly progress: number
  readonly downloadSpeed: number
  readonly uploadSpeed: number
  /** Bytes that were uploaded. */
  readonly uploaded: number
  readonly peers: number
  /** Null while it cannot be told. */
  readonly timeRemaining: number | null
}

/** A file as the page lists it. */
export interface FileSummary {
  readonly path: string
  readonly length: number
  readonly type: string
  /** Path on the server, without token. */
  readonly url: string
}

/** What changes of a torrent while one looks at it. */
export interface TorrentDetail {
  readonly infoHash: string
  readonly pieceCount: number
  readonly pieceLength: number
  readonly ratio: number
  readonly private: boolean
  /** Of each file shown, in thousandths. */
  readonly fileProgress: readonly number[]
  /** Of each file shown, `1` when it is selected, else `0`. */
  readonly selected: string
  /** See {@link pieceMap}. */
  readonly map: string
  /** Where streams read, 0 to 1 in the torrent. */
  readonly cursors: readonly number[]
  readonly peers: readonly object[]
}

/** The line about a torrent. */
export function summarise(torrent: Torrent): TorrentSummary {
  const { timeRemaining } = torrent
  return {
    infoHash: torrent.infoHash,
    name: torrent.name,
    status: torrent.status,
    error: faultOf(torrent),
    length: torrent.length,
    progress: torrent.progress,
    downloadSpeed: Math.round(torrent.downloadSpeed),
    uploadSpeed: Math.round(torrent.uploadSpeed),
    uploaded: torrent.uploaded,
    peers: torrent.peers.length,
    timeRemaining: Number.isFinite(timeRemaining) ? Math.round(timeRemaining) : null
  }
}

function faultOf({ status, error }: Torrent): TorrentFault | null {
  if (status !== 'error' || error === undefined) return null
  return { code: systemCode(error) ?? null, message: error.message }
}

/** How many nodes the DHT of a client knows; null without one. */
export function dhtNodes(client: Client | undefined): number | null {
  const size = client?.dht?.size
  return size === undefined ? null : size[4] + size[6]
}

/** The first {@link mostFilesShown} files. */
export function listFiles(torrent: Torrent): readonly FileSummary[] {
  return torrent.files.slice(0, mostFilesShown).map((file) => ({
    path: file.path,
    length: file.length,
    type: file.type,
    url: urlPath(torrent, file)
  }))
}

/** What changes while one looks. */
export function detail(torrent: Torrent): TorrentDetail {
  const files = torrent.files.slice(0, mostFilesShown)
  const { length } = torrent
  return {
    infoHash: torrent.infoHash,
    pieceCount: torrent.pieceCount,
    pieceLength: torrent.pieceLength,
    ratio: torrent.ratio,
    private: torrent.private,
    fileProgress: files.map(({ progress }) => Math.floor(progress * 1000)),
    selected: files.map(({ selected }) => (selected ? '1' : '0')).join(''),
    map: pieceMap(torrent.pieceCells),
    cursors: torrent.streams.map(({ file, position }) =>
      length === 0 ? 0 : (file.offset + position) / length
    ),
    peers: torrent.peers.slice(0, mostPeersShown).map((peer) => ({
      address: peer.address,
      client: peer.client ?? '',
      source: peer.incoming ? 'incoming' : peer.source,
      progress: peer.progress,
      downloadSpeed: Math.round(peer.downloadSpeed),
      uploadSpeed: Math.round(peer.uploadSpeed),
      peerChoking: peer.peerChoking,
      amChoking: peer.amChoking,
      peerInterested: peer.peerInterested,
      amInterested: peer.amInterested,
      requests: peer.requests,
      piece: peer.piece ?? null
    }))
  }
}

/**
 * The pieces as a string of at most 1024 letters, each for as many neighbours: a digit for the verified part in ninths, the letter
 * `a` to `j` instead while some are on their way, `x` for some that are being hashed, and `-` when nothing is here and no peer has one of them.
 */
export function pieceMap(cells: readonly PieceCell[]): string {
  let map = ''
  for (const { start, end, verified, checking, partial, unavailable } of cells) {
    const ninths = Math.floor((verified / (end - start)) * 9)
    if (checking > 0) map += 'x'
    else if (partial > 0) map += 'abcdefghij'[ninths] ?? 'a'
    else map += unavailable > 0 && verified === 0 ? '-' : String(ninths)
  }
  return map
}
