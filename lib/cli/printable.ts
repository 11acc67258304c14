// Terminal commands: CSI and OSC sequences, and other escapes.
const escapes =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern finds control characters
  /(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|\x1b[@-Z\\^_]?/g
// Control characters, and marks that reverse the direction of writing or hide text.
const invisible = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/gu
const newline = /[\r\n]/

/**
 * Makes untrusted text safe for a terminal, as one line: removes escape sequences, control characters and direction marks; newlines
 * become spaces.
 */
export function printable(text: string): string {
  // A pattern for white space around newlines would take quadratic time on long runs of spaces.
  const line = text.replace(/\s+/g, (space) => (newline.test(space) ? ' ' : space))
  return line.replace(escapes, '').replace(invisible, '')
}

/** Formats JSON on one line, with control characters and direction marks escaped; it parses to the same value. */
export function printableJson(value: unknown): string {
  return JSON.stringify(value).replace(
    invisible,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  )
}
