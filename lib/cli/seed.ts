import type { Torrent } from '../index.ts'
import { formatMagnet, parseTorrent } from '../metainfo.ts'
import type { Command } from './command.ts'
import { createOptions, readCreateOptions, readPaths, showHashing } from './create-options.ts'
import { formatBytes } from './format.ts'
import { announceTorrent, keepSeeding } from './report.ts'
import { runSession } from './session.ts'
import {
  clientOptions,
  commonOptions,
  jsonOption,
  readClientOptions,
  readState,
  stateOption
} from './shared-options.ts'
import { readPeer, readRatio } from './values.ts'
import { checkOut, writeTorrent } from './write-torrent.ts'

/** `piecewise seed`. */
export const seed: Command = {
  name: 'seed',
  summary: 'makes a torrent of files and folders, and seeds it from where they are',
  usage: '<path...> [options]',
  options: {
    out: { type: 'string', short: 'o', value: 'file', help: 'also write the .torrent' },
    ...createOptions,
    ...clientOptions,
    peer: {
      type: 'string',
      multiple: true,
      value: 'host:port',
      help: 'a peer to connect to at once; repeatable'
    },
    ratio: {
      type: 'string',
      value: 'number',
      help: 'stop at this ratio of uploaded bytes to the size, over all runs'
    },
    ...stateOption,
    ...jsonOption,
    ...commonOptions
  },
  examples: [
    'seed film.mkv --tracker udp://tracker.example:6969/announce --out film.torrent',
    'seed photos/ --upload-limit 1M --ratio 2'
  ],
  notes: [
    'Files that have not changed since they were last seeded are not hashed again. ' +
      "To seed an existing torrent, use 'piecewise download <torrent> --dir <folder of the data> --seed'. " +
      'With --host, the magnet link contains this address as a peer, so that it works without a tracker.'
  ],
  async run(line, output) {
    const paths = readPaths(line)
    const out = line.text('out')
    if (out !== undefined) checkOut(out, paths)
    const options = readCreateOptions(line)
    const peers = line.values('peer', readPeer)
    const ratio = line.value('ratio', readRatio)
    const client = { ...readClientOptions(line), ...readState(line) }
    const onInterrupted = (torrent: Torrent | undefined): string =>
      torrent === undefined
        ? 'Stopped before all files were hashed.'
        : `Stopped after ${formatBytes(torrent.uploaded)} were uploaded.`
    return runSession(output, { client, onInterrupted }, async (session) => {
      const onProgress = showHashing(output)
      const torrent = await session.client.seed(paths, {
        ...options,
        peers,
        signal: session.signal,
        onProgress
      })
      announceTorrent(torrent, output)
      if (out !== undefined && torrent.torrentFile !== undefined) {
        await writeTorrent(out, torrent.torrentFile)
        output.say(`Torrent: ${out}`)
      }
      const { port } = session.client
      const magnet = withPeer(torrent, client.host, port)
      output.say(`Listening on port ${port}`)
      output.result(magnet)
      output.event('seeding', {
        infoHash: torrent.infoHash,
        magnet,
        port,
        ...(out === undefined ? {} : { path: out })
      })
      await keepSeeding(torrent, session, output, ratio)
      return 0
    })
  }
}

/** Returns the magnet link, with our own address as a peer if `--host` is given. */
function withPeer(torrent: Torrent, host: string | undefined, port: number): string {
  const bytes = torrent.torrentFile
  if (host === undefined || port === 0 || bytes === undefined) return torrent.magnetURI
  const { infoHashes, name, announce } = parseTorrent(bytes)
  return formatMagnet({ infoHashes, name, trackers: announce.flat(), peers: [{ host, port }] })
}
