/** Returns the offset after the value at `at`; `bytes` must have passed the decoder. */
export function skipValue(bytes: Uint8Array, at: number): number {
  let depth = 0
  let next = at
  do {
    const byte = bytes[next]
    if (byte === 0x69) next = bytes.indexOf(0x65, next) + 1
    else if (byte === 0x6c || byte === 0x64) {
      depth++
      next++
    } else if (byte === 0x65) {
      depth--
      next++
    } else {
      let length = 0
      for (let digit = byte ?? 0x3a; digit !== 0x3a; digit = bytes[++next] ?? 0x3a)
        length = length * 10 + digit - 0x30
      next += 1 + length
    }
  } while (depth > 0)
  return next
}
