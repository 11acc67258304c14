/**
 * Returns a `Content-Disposition` header that carries any name (RFC 6266): plain ASCII for old clients, and the exact name encoded
 * as in RFC 8187 when it differs.
 */
export function contentDisposition(kind: 'inline' | 'attachment', name: string): string {
  // Some clients decode percent escapes in `filename` too, where RFC 6266 defines none.
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

/** Encodes a path element for a URL; lone surrogates, on which `encodeURIComponent` throws, become U+FFFD. */
export function encodeElement(element: string): string {
  return encodeURIComponent(wellFormed(element))
}

/** Replaces lone surrogates with U+FFFD. */
export function wellFormed(text: string): string {
  return /\p{Surrogate}/u.test(text) ? Buffer.from(text).toString() : text
}

/** Escapes text for HTML elements and quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`)
}
