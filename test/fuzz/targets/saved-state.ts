import { createHash } from 'node:crypto'
import { encode } from '../../../lib/bencode/encode.ts'
import { parseDhtState } from '../../../lib/client/dht-state.ts'
import { parseHolder } from '../../../lib/client/folder-lock.ts'
import {
  decodeSavedTorrents,
  encodeSavedTorrents,
  readSavedSteps
} from '../../../lib/client/saved-torrents.ts'
import { parseNodes } from '../../../lib/dht/node-info.ts'
import { parseRecordJson } from '../../../lib/storage/json-fields.ts'
import {
  believed,
  decodeResume,
  encodeResume,
  maxPeers,
  openResume
} from '../../../lib/storage/resume-record.ts'
import type { Check, Target } from '../target.ts'

const infoHash = 'c12fe1c06bba254a9dc9f519b335aa7c1367a88a'

/** Resume records: unchanged, and with a valid checksum. */
export const resume: Target = {
  name: 'resume',
  grammar: 'json',
  corpus: ['resume'],
  words: [
    ...[
      'infoHash',
      'clean',
      'files',
      'parts',
      'verified',
      'partial',
      'uploaded',
      'downloaded',
      'secondsActive',
      'selection'
    ],
    ...[
      'priorities',
      'ranges',
      'spelling',
      'owned',
      'created',
      'links',
      'path',
      'target',
      'peers',
      'trackers',
      'addedMs'
    ],
    ...['completed', 'paused', 'private', 'mac', infoHash, '__proto__', 'AAAA', '0.1', 'original']
  ],
  maxBytes: 1 << 20,
  run(input, check) {
    // Half of the inputs have a head of their own, usually with a wrong checksum.
    if (input[0] !== 0x7b) return check.turn(() => decodeResume(input))
    const sum = createHash('sha256').update(Buffer.from(input).toString()).digest('hex')
    const bytes = Buffer.concat([Buffer.from(`piecewise resume 1 ${sum}\n`), input])
    const { record } = check.turn(() => openResume(bytes))
    check.equal(
      parseRecordJson(Buffer.from(input).toString()),
      JSON.parse(Buffer.from(input).toString()),
      'JSON is read otherwise'
    )
    check.that(record.peers.length <= maxPeers && record.trackers.length <= 1000, 'a list is not bounded')
    check.equal(decodeResume(encodeResume(record)), record, 'decode(encode(x)) is not x')
    const signed = openResume(encodeResume(record, () => 'ab'.repeat(32)))
    check.equal(signed.mac, 'ab'.repeat(32), 'a signature is lost')
    check.equal(
      believed({ record, trust: 'unproven' }, true).created,
      [],
      'an unproven record names files to delete'
    )
    return record
  }
}

/** Session files: lines of JSON, unchanged and with valid checksums. */
export const session: Target = {
  name: 'session',
  grammar: 'json',
  corpus: ['session'],
  words: [
    ...[
      'infoHash',
      'infoHashV2',
      'name',
      'path',
      'folderMode',
      'filePaths',
      'select',
      'selectOnly',
      'trackers',
      'trustedTrackers'
    ],
    ...[
      'peers',
      'paused',
      'finished',
      'goalWaived',
      'seedRatio',
      'seedTime',
      'downloadLimit',
      'uploadLimit',
      'superSeeding'
    ],
    ...[
      'overwrite',
      'private',
      'uploaded',
      'downloaded',
      'secondsActive',
      'secondsSeeding',
      'completed',
      'addedMs',
      'mac'
    ],
    ...['all', 'none', infoHash, '__proto__', 'Infinity']
  ],
  maxBytes: 1 << 20,
  run(input, check) {
    const lines = Buffer.from(input).toString().split('\n')
    const summed = lines.map((line) => (line.startsWith('{') ? `${sumOf(line)} ${line}` : line)).join('\n')
    const { lines: read, damaged } = check.steps(readSavedSteps(Buffer.from(summed)))
    check.that(read.length + damaged <= lines.length, 'there are more lines than in the file')
    const savedTorrents = read.map(({ saved }) => saved)
    checkRoundTrip(savedTorrents, check)
    return [savedTorrents, damaged]
  }
}

/** The DHT file and the lock of a state folder. */
export const stateFolder: Target = {
  name: 'state-folder',
  grammar: 'bencode',
  corpus: ['state-folder'],
  words: ['id', 'id6', 'nodes', 'nodes6', '"pid":', '"thread":', '"host":', '"started":'],
  maxBytes: 256 << 10,
  run(input, check) {
    const holder = check.turn(() => parseHolder(Buffer.from(input).toString()))
    if (holder !== undefined) return holder
    const state = check.turn(() => parseDhtState(input))
    for (const bytes of Object.values(state))
      check.that(bytes.buffer !== input.buffer, 'the state borrows its file')
    const again = parseDhtState(encode({ ...state }))
    check.equal(again, state, 'decode(encode(x)) is not x')
    return [state, parseNodes(state.nodes ?? input, 4).length, parseNodes(state.nodes6 ?? input, 6).length]
  }
}

function checkRoundTrip(savedTorrents: Parameters<typeof encodeSavedTorrents>[0], check: Check): void {
  const again = decodeSavedTorrents(encodeSavedTorrents(savedTorrents))
  check.equal(again, { savedTorrents, damaged: 0 }, 'decode(encode(x)) is not x')
  const hashes = new Set(savedTorrents.map((saved) => saved.infoHash))
  check.equal(hashes.size, savedTorrents.length, 'a torrent is there twice')
}

function sumOf(line: string): string {
  return createHash('sha256').update(line).digest('hex').slice(0, 16)
}
