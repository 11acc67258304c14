import { limits } from './limits.ts'

const decoder = new TextDecoder()
// Control characters, and marks that turn the direction of the text around them.
const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]+/gu

/** A tracker's text made fit for a message: no control characters, 200 characters at most. */
export function quote(text: string | Uint8Array): string {
  const whole = typeof text === 'string' ? text : decoder.decode(text.subarray(0, 4 * limits.textLength))
  const clean = whole
    .slice(0, 4 * limits.textLength)
    .replace(unprintable, ' ')
    .trim()
  const letters = [...clean]
  return letters.length <= limits.textLength ? clean : `${letters.slice(0, limits.textLength - 1).join('')}…`
}
