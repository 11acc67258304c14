import { decode } from '../lib/bencode/decode.ts'
import { type BencodeInput, encode } from '../lib/bencode/encode.ts'
import { type Benchmark, type Measurement, perSecond } from './benchmark.ts'

/** Returns a torrent of many files: small strings and numbers, then the hashes as one long string. */
function torrent(fileCount: number, pieceCount: number): BencodeInput {
  const files = Array.from({ length: fileCount }, (_, n) => ({
    length: 100_000 + n,
    path: [`folder ${n % 17}`, `file number ${n}.bin`]
  }))
  const info = { files, name: 'many files', 'piece length': 262_144, pieces: new Uint8Array(20 * pieceCount) }
  return { announce: 'http://tracker.example/announce', 'creation date': 1_700_000_000, info }
}

function measure(label: string, value: BencodeInput): Measurement[] {
  const bytes = encode(value)
  const decoding = perSecond(() => {
    decode(bytes)
    return bytes.length / 1e6
  })
  const encoding = perSecond(() => encode(value).length / 1e6)
  return [
    { name: `bencode, decode ${label}`, value: decoding, unit: 'MB/s' },
    { name: `bencode, encode ${label}`, value: encoding, unit: 'MB/s' }
  ]
}

/** Decoding and encoding of two torrents: 5,000 files, which are many small values, and 20,000 pieces in one file, which are one long string. */
export const bencode: Benchmark = {
  name: 'bencode',
  run: () => [...measure('5,000 files', torrent(5000, 2000)), ...measure('20,000 hashes', torrent(1, 20_000))]
}
