// Music of any length, the same each time: soft chords over a bass, as the bytes of a WAV file.
const sampleRate = 44_100
const channels = 2
const headerLength = 44
const tableLength = 4096
const chordSeconds = 4
/** Four chords of four notes in hertz, the bass first. */
const chords = [
  [110, 220, 261.63, 329.63],
  [87.31, 174.61, 220, 261.63],
  [130.81, 196, 261.63, 329.63],
  [98, 196, 246.94, 293.66]
] as const

/** Bytes of a WAV per second of playing time. */
export const wavBytesPerSecond: number = sampleRate * channels * 2

/** Returns a stereo WAV of so many seconds. */
export function makeWav(seconds: number): Uint8Array {
  const frames = Math.floor(seconds * sampleRate)
  const bytes = Buffer.alloc(headerLength + frames * 4)
  writeHeader(bytes, frames * 4)
  const samples = new Int16Array(bytes.buffer, bytes.byteOffset + headerLength, frames * 2)
  const sine = Float32Array.from({ length: tableLength }, (_, n) => Math.sin((2 * Math.PI * n) / tableLength))
  const chordFrames = chordSeconds * sampleRate
  for (let start = 0, turn = 0; start < frames; start += chordFrames, turn++) {
    const count = Math.min(chordFrames, frames - start)
    for (const [voice, hertz] of (chords[turn % chords.length] ?? chords[0]).entries()) {
      // Every second round is one octave higher; the upper voices are slightly to the sides.
      const step = (hertz * (turn % 8 < 4 || voice === 0 ? 1 : 2) * tableLength) / sampleRate
      const left = 4200 * (1 - voice / 6)
      const right = 4200 * (0.5 + voice / 6)
      for (let n = 0; n < count; n++) {
        const level = envelope(n / chordFrames) * (sine[Math.floor(n * step) & (tableLength - 1)] ?? 0)
        const at = 2 * (start + n)
        samples[at] = (samples[at] ?? 0) + level * left
        samples[at + 1] = (samples[at + 1] ?? 0) + level * right
      }
    }
  }
  return bytes
}

/** Swells quickly and fades slowly, to silence at both ends. */
function envelope(part: number): number {
  return part < 0.03 ? part / 0.03 : ((1 - part) / 0.97) ** 1.5
}

function writeHeader(bytes: Buffer, dataLength: number): void {
  bytes.write('RIFF', 0, 'latin1')
  bytes.writeUInt32LE(headerLength - 8 + dataLength, 4)
  bytes.write('WAVEfmt ', 8, 'latin1')
  bytes.writeUInt32LE(16, 16)
  bytes.writeUInt16LE(1, 20)
  bytes.writeUInt16LE(channels, 22)
  bytes.writeUInt32LE(sampleRate, 24)
  bytes.writeUInt32LE(wavBytesPerSecond, 28)
  bytes.writeUInt16LE(channels * 2, 32)
  bytes.writeUInt16LE(16, 34)
  bytes.write('data', 36, 'latin1')
  bytes.writeUInt32LE(dataLength, 40)
}
