import { WireDecoder, type WireDecoderHandler } from '../lib/wire/decoder.ts'
import { encode } from '../lib/wire/encoder.ts'
import { defaultWireLimits } from '../lib/wire/limits.ts'
import { formatReserved, messageIds, protocolHeader } from '../lib/wire/messages.ts'
import { type Benchmark, type Measurement, perSecond } from './benchmark.ts'

const blockLength = 16384
const blocks = 256

/** Returns the bytes that a busy peer sends: blocks of 16 KiB, and a have message after every fourth. */
function messages(): Buffer {
  const parts: Uint8Array[] = []
  const block = new Uint8Array(blockLength).fill(0x5a)
  for (let n = 0; n < blocks; n++) {
    parts.push(
      encode((batch) => batch.pieceHeader(n >> 4, (n & 15) * blockLength, blockLength)),
      block
    )
    if (n % 4 === 3) parts.push(encode((batch) => batch.index(messageIds.have, n)))
  }
  return Buffer.concat(parts)
}

/** Receives blocks as a download does: into the buffer of a piece. */
function handler(): WireDecoderHandler {
  const memory = new Uint8Array(16 * blockLength)
  return {
    onHandshake: () => {},
    onKeepAlive: () => {},
    onEmpty: () => {},
    onIndex: () => {},
    onRange: () => 0,
    onBitfield: () => {},
    onBlockStart: (_, offset, length) => memory.subarray(offset, offset + length),
    onBlock: () => {},
    onPort: () => {},
    onExtended: () => {}
  }
}

function measure(chunkLength: number): number {
  const bytes = messages()
  const chunks: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += chunkLength) chunks.push(bytes.subarray(at, at + chunkLength))
  const decoder = new WireDecoder(handler(), { ...defaultWireLimits, pieceCount: 1000 })
  const flags = { fast: true, extended: true, dht: false }
  decoder.push(Buffer.concat([protocolHeader, formatReserved(flags), new Uint8Array(40)]))
  return perSecond(() => {
    for (const chunk of chunks) decoder.push(chunk)
    return bytes.length / 1e6
  })
}

/** Decoding of a peer's bytes into messages; each block is copied once, into the buffer of its piece. */
export const decoder: Benchmark = {
  name: 'decoder',
  run(): Measurement[] {
    return [
      { name: 'decoder, chunks of 64 KiB', value: measure(65536), unit: 'MB/s' },
      { name: 'decoder, chunks of 1448 B', value: measure(1448), unit: 'MB/s' }
    ]
  }
}
