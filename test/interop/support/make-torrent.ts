// Torrents made by other programs.
import { systemPython } from './need.ts'
import { run } from './process.ts'

/** A program that makes torrents of one kind of data. */
export interface Maker {
  readonly name: string
  readonly needed: readonly string[]
  /** Makes a torrent with pieces of `2 ** pieceExponent` bytes. */
  make(data: string, torrentPath: string, pieceExponent: number): void
}

const script = `
import os, sys, libtorrent as lt
data, out, size, kind = sys.argv[1:]
files = lt.file_storage()
lt.add_files(files, data)
flags = {'v1': lt.create_torrent.v1_only, 'v1-padded': lt.create_torrent.v1_only | lt.create_torrent.canonical_files, 'hybrid': 0}
maker = lt.create_torrent(files, int(size), flags[kind])
lt.set_piece_hashes(maker, os.path.dirname(data))
torrent = maker.generate()
# its own date and name are no part of what is tested, and "info" is to be the last key
open(out, 'wb').write(lt.bencode({b'info': torrent[b'info']} if kind != 'hybrid' else torrent))
`

/** mktorrent. */
export const mktorrent: Maker = {
  name: 'mktorrent',
  needed: ['mktorrent'],
  make: (data, torrentPath, pieceExponent) => {
    run(['mktorrent', '-d', '-l', `${pieceExponent}`, '-o', torrentPath, data])
  }
}

/** libtorrent, version 1 torrents. */
export const libtorrentMaker: Maker = {
  name: 'libtorrent',
  needed: ['python3:libtorrent'],
  make: (data, torrentPath, pieceExponent) => {
    run([systemPython, '-c', script, data, torrentPath, `${2 ** pieceExponent}`, 'v1'])
  }
}

/** A torrent with pad files (BEP 47): of version 1, or of both versions. */
export type PaddedKind = 'v1' | 'hybrid'

/** Makes a torrent in which libtorrent pads each file to the end of a piece of `2 ** pieceExponent` bytes. */
export function makePadded(data: string, torrentPath: string, pieceExponent: number, kind: PaddedKind): void {
  const own = kind === 'v1' ? 'v1-padded' : kind
  run([systemPython, '-c', script, data, torrentPath, `${2 ** pieceExponent}`, own])
}

/** transmission-create. */
export const transmissionMaker: Maker = {
  name: 'transmission-create',
  needed: ['transmission-create'],
  make: (data, torrentPath, pieceExponent) => {
    run(['transmission-create', '-s', `${2 ** pieceExponent / 1024}`, '-o', torrentPath, data])
  }
}

/** All makers. */
export const makers: readonly Maker[] = [mktorrent, libtorrentMaker, transmissionMaker]

/** Programs that print the info hash in hex of a torrent: transmission-show, libtorrent and aria2. */
export const readers: readonly {
  name: string
  needed: readonly string[]
  infoHash(torrentPath: string): string
}[] = [
  {
    name: 'transmission-show',
    needed: ['transmission-show'],
    infoHash: (torrentPath) =>
      /Hash: ([0-9a-f]{40})/.exec(run(['transmission-show', torrentPath]).stdout)?.[1] ?? ''
  },
  {
    name: 'libtorrent',
    needed: ['python3:libtorrent'],
    infoHash: (torrentPath) =>
      run([
        systemPython,
        '-c',
        'import sys, libtorrent as lt; print(lt.torrent_info(sys.argv[1]).info_hash())',
        torrentPath
      ]).stdout.trim()
  },
  {
    name: 'aria2',
    needed: ['aria2c'],
    infoHash: (torrentPath) =>
      /Info Hash: ([0-9a-f]{40})/.exec(run(['aria2c', '--no-conf', '-S', torrentPath]).stdout)?.[1] ?? ''
  }
]

/** The files of a torrent as libtorrent reads them. */
export function libtorrentFiles(torrentPath: string): { path: string; length: number }[] {
  const code = `
import json, sys, libtorrent as lt
files = lt.torrent_info(sys.argv[1]).files()
print(json.dumps([{'path': files.file_path(i), 'length': files.file_size(i)} for i in range(files.num_files())]))
`
  return JSON.parse(run([systemPython, '-c', code, torrentPath]).stdout) as { path: string; length: number }[]
}
