/**
 * A `Content-Disposition` that gives any name to any client (RFC 6266): plain ASCII for old ones, and the true name as RFC 8187
 * when that is another.
 */
export function contentDisposition(kind: 'inline' | 'attachment', name: string): string {
  // Some clients decode percent signs even where none may.
  const plain = name.replace(/[^\x20-\x7e]|["\\%]/g, '_')
  const fallback = `${kind}; filename="${plain}"`
  return plain === name ? fallback : `${fallback}; filename*=UTF-8''${encodeExtended(name)}`
}

function encodeExtended(name: string): string {
  return encodeElement(name).replace(
    /['()*]/g,
    (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`
  )
}

/** One element of a path for a URL; lone surrogates become U+FFFD, which `encodeURIComponent` alone would throw at. */
export function encodeElement(element: string): string {
  return encodeURIComponent(wellFormed(element))
}

/** The text with lone surrogates replaced by U+FFFD. */
export function wellFormed(text: string): string {
  return /\p{Surrogate}/u.test(text) ? Buffer.from(text).toString() : text
}

/** Text for HTML, in elements and in quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`)
}
