import { createTorrent, formatMagnet, parseTorrent } from '../metainfo.ts'
import { toHex } from '../util/bytes.ts'
import type { Command } from './command.ts'
import { createOptions, readCreateOptions, readPaths, showHashing } from './create-options.ts'
import { formatBytes, formatCount } from './format.ts'
import { Interrupt, interruptedCode } from './interrupt.ts'
import { commonOptions, jsonOption } from './shared-options.ts'
import { usageError } from './usage-error.ts'
import { checkOut, writeTorrent } from './write-torrent.ts'

/** `piecewise create`. */
export const create: Command = {
  name: 'create',
  summary: 'makes a .torrent of files and folders',
  usage: '<path...> --out <file.torrent> [options]',
  options: {
    out: { type: 'string', short: 'o', value: 'file', help: 'the .torrent to write' },
    ...createOptions,
    ...jsonOption,
    ...commonOptions
  },
  examples: [
    'create film.mkv --out film.torrent --tracker udp://tracker.example:6969/announce',
    'create photos/ --out photos.torrent --piece-length 1M --private --tracker https://t.example/announce'
  ],
  async run(line, output) {
    const paths = readPaths(line)
    const out = line.text('out')
    if (out === undefined) throw usageError('name the .torrent to write: --out <file>')
    checkOut(out, paths)
    const options = readCreateOptions(line)
    const interrupt = new Interrupt(() => output.stopStatus())
    try {
      const { signal } = interrupt
      const bytes = await createTorrent(paths, { ...options, signal, onProgress: showHashing(output) })
      output.stopStatus()
      await writeTorrent(out, bytes)
      const metainfo = parseTorrent(bytes)
      const { infoHashes, name, length, files, pieceLength, announce } = metainfo
      const magnet = formatMagnet({ infoHashes, name, trackers: announce.flat() })
      output.say(
        `${name}: ${formatBytes(length)} in ${formatCount(files.length, 'file')}, pieces of ${formatBytes(pieceLength)}`
      )
      output.say(`Torrent: ${out}`)
      output.result(magnet)
      const infoHash = infoHashes.v1 && toHex(infoHashes.v1)
      output.event('done', { path: out, name, infoHash, length, pieceLength, files: files.length, magnet })
      return 0
    } catch (thrown) {
      output.stopStatus()
      if (!interrupt.signal.aborted) throw thrown
      output.say('Stopped; nothing was written.')
      return interruptedCode
    } finally {
      interrupt.close()
    }
  }
}
