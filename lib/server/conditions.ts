import type { IncomingHttpHeaders } from 'node:http'

/**
 * Returns the status that the preconditions of a GET or HEAD demand (RFC 9110, 13.2.2), or undefined to go on. A file of a torrent
 * has a strong ETag and no modification date, so conditions on dates are ignored, as the RFC requires.
 */
export function checkConditions(headers: IncomingHttpHeaders, etag: string): 304 | 412 | undefined {
  const match = headers['if-match']
  if (match !== undefined && !lists(match, etag, true)) return 412
  const noneMatch = headers['if-none-match']
  if (noneMatch !== undefined && lists(noneMatch, etag, false)) return 304
  return undefined
}

/** Returns whether `If-Range` allows the `Range` header: it must be this file's ETag; dates never match. */
export function rangeApplies(headers: IncomingHttpHeaders, etag: string): boolean {
  const ifRange = headers['if-range']
  return ifRange === undefined || String(ifRange).trim() === etag
}

function lists(header: string, etag: string, strong: boolean): boolean {
  if (header.trim() === '*') return true
  for (const [tag, weak] of header.matchAll(/(W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g)) {
    if (weak === undefined ? tag === etag : !strong && tag.slice(2) === etag) return true
  }
  return false
}
