import { limits } from './limits.ts'

const decoder = new TextDecoder()
// Control characters, and marks that change the direction of the text around them.
const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]+/gu

/** Returns a tracker's text in a form fit for messages: no control characters, at most 200 characters. */
export function quote(text: string | Uint8Array): string {
  const whole = typeof text === 'string' ? text : decoder.decode(text.subarray(0, 4 * limits.textLength))
  const clean = whole
    .slice(0, 4 * limits.textLength)
    .replace(unprintable, ' ')
    .trim()
  const letters = [...clean]
  return letters.length <= limits.textLength ? clean : `${letters.slice(0, limits.textLength - 1).join('')}…`
}
