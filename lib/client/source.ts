import type { InfoHashes } from '../metainfo/info-hashes.ts'
import type { Range } from '../metainfo/layout.ts'
import type { Magnet } from '../metainfo/magnet.ts'
import type { Metainfo } from '../metainfo/metainfo.ts'
import type { Network } from '../net/network.ts'
import type { PeerAddress } from '../util/address.ts'
import { TorrentError } from '../util/errors.ts'
import { redactUrl } from '../util/redact.ts'
import { type ReadSourceOverOptions, readSourceOver, type TorrentSource } from './read-source.ts'

/** The content of a source of `add`. */
export interface ResolvedSource {
  readonly infoHashes: InfoHashes
  readonly metainfo?: Metainfo
  readonly name?: string
  readonly trackers: readonly (readonly string[])[]
  readonly peers: readonly PeerAddress[]
  /** Web seeds that a magnet link names. */
  readonly webSeeds?: readonly string[]
  /** Selected files as half-open ranges of the torrent's own file list, in ascending order (BEP 53). */
  readonly selectOnly?: readonly Range[]
  /** A warning about parts of the source that are not used. */
  readonly ignored?: TorrentError
}

/**
 * Reads a source of `add`.
 * @throws TorrentError ERR_METAINFO_UNSUPPORTED for a torrent without a v1 info hash; errors of `readSource`; the signal's reason.
 */
export async function resolveSource(
  network: Network,
  source: TorrentSource,
  options: ReadSourceOverOptions = {}
): Promise<ResolvedSource> {
  const read = await readSourceOver(network, source, options)
  if (read.infoHashes.v1 === undefined) {
    const what = 'info' in read ? 'the .torrent describes' : 'the magnet link names'
    throw new TorrentError(
      'ERR_METAINFO_UNSUPPORTED',
      `${what} a torrent with only a version 2 info hash, which is not supported yet`
    )
  }
  return 'info' in read ? ofMetainfo(read) : ofMagnet(read)
}

function ofMagnet(magnet: Magnet): ResolvedSource {
  const { selectOnly, exactSources } = magnet
  return {
    infoHashes: magnet.infoHashes,
    ...(magnet.name === undefined ? {} : { name: magnet.name }),
    trackers: magnet.trackers.map((url) => [url]),
    peers: magnet.peers,
    webSeeds: magnet.webSeeds,
    ...(selectOnly === undefined ? {} : { selectOnly }),
    ...(exactSources === undefined ? {} : { ignored: ignoredSources(exactSources) })
  }
}

function ignoredSources(urls: readonly string[]): TorrentError {
  const shown = urls.map(redactUrl)
  return new TorrentError(
    'ERR_METAINFO_UNSUPPORTED',
    `the magnet link names ${shown[0]} as a source of the .torrent (xs), which is not used: the metadata comes from peers`,
    { details: { urls: shown } }
  )
}

function ofMetainfo(metainfo: Metainfo): ResolvedSource {
  return {
    infoHashes: metainfo.infoHashes,
    metainfo,
    name: metainfo.name,
    trackers: metainfo.announce,
    peers: []
  }
}
