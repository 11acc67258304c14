// What terminals understand as commands: CSI and OSC sequences, and other escapes.
const escapes =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern finds control characters
  /(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|\x1b[@-Z\\^_]?/g
// Control characters, and marks that turn the direction of writing around or hide text.
const invisible = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/gu
const newline = /[\r\n]/

/**
 * A text from a stranger as one line that is safe in a terminal: without escape sequences, control characters and marks
 * of direction; newlines become spaces.
 */
export function printable(text: string): string {
  // A pattern for white space around a newline would search each run of spaces from all of its places.
  const line = text.replace(/\s+/g, (space) => (newline.test(space) ? ' ' : space))
  return line.replace(escapes, '').replace(invisible, '')
}

/** JSON in one line in which no character is a terminal's command; a parser reads the same from it. */
export function printableJson(value: unknown): string {
  return JSON.stringify(value).replace(
    invisible,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  )
}
