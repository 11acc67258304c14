import type { Cursor } from '../bencode/cursor.ts'
import type { Outline } from '../bencode/outline.ts'
import { formatAddress } from '../util/address.ts'
import { isBytes, toText } from '../util/bytes.ts'
import type { Steps } from '../util/slices.ts'
import { maxHostBytes, maxListed, maxUrlBytes } from './limits.ts'

/** List values that are read before yielding to the event loop. */
const valuesOfStep = 2000

/** Reads the URLs of a byte string or of a list of them, trimmed, without duplicates; at most 1000. */
export function* readUrls(value: Outline | undefined): Steps<string[]> {
  return value === undefined ? [] : [...(yield* urlsAt(value.cursor()))]
}

/** Reads the trackers by tier (BEP 12), without duplicates. The tier with the thousandth tracker is the last. */
export function* readTrackers(dict: Outline): Steps<string[][]> {
  const list = dict.get('announce-list')
  const seen = new Set<string>()
  const tiers: string[][] = []
  if (list?.isList === true) {
    const cursor = list.cursor()
    cursor.enter()
    for (let n = 1; seen.size < maxListed && !cursor.leave(); n++) {
      if (n % valuesOfStep === 0) yield
      // Some writers omit the inner list; a bare URL is then a tier of its own.
      const urls = yield* urlsAt(cursor)
      const tier = [...urls].filter((url) => !seen.has(url))
      for (const url of tier) seen.add(url)
      if (tier.length > 0) tiers.push(tier)
    }
  }
  if (tiers.length > 0) return tiers
  const url = urlOf(dict.string('announce'))
  return url === undefined ? [] : [[url]]
}

/** Reads DHT nodes as `host:port` (BEP 5); at most 1000. */
export function* readNodes(value: Outline | undefined): Steps<string[]> {
  const found: string[] = []
  if (value?.isList !== true) return found
  const cursor = value.cursor()
  cursor.enter()
  for (let n = 1; found.length < maxListed && !cursor.leave(); n++) {
    if (n % valuesOfStep === 0) yield
    const start = cursor.at
    const node = cursor.kind === 'list' ? nodeAt(cursor) : undefined
    if (node !== undefined) found.push(node)
    cursor.at = start
    cursor.skip()
  }
  return found
}

/** Returns the URLs of the value at the cursor, and moves the cursor past it. */
function* urlsAt(cursor: Cursor): Steps<Set<string>> {
  const found = new Set<string>()
  const add = (): void => {
    const url = urlOf(cursor.scalar())
    if (url !== undefined && found.size < maxListed) found.add(url)
  }
  if (cursor.kind !== 'list') add()
  else {
    cursor.enter()
    for (let n = 1; !cursor.leave(); n++) {
      if (n % valuesOfStep === 0) yield
      add()
    }
  }
  return found
}

function urlOf(value: unknown): string | undefined {
  if (!isBytes(value) || value.length > maxUrlBytes) return undefined
  const url = toText(value)?.trim()
  return url === '' ? undefined : url
}

/** Returns `host:port` of the pair at the cursor. */
function nodeAt(cursor: Cursor): string | undefined {
  cursor.enter()
  const raw = cursor.leave() ? undefined : cursor.scalar()
  const port = raw === undefined || cursor.leave() ? undefined : cursor.scalar()
  const host = isBytes(raw) && raw.length <= maxHostBytes ? toText(raw) : undefined
  if (host === undefined || !/^[^\s/[\]]+$/.test(host)) return undefined
  return typeof port === 'number' && port >= 1 && port <= 65535 ? formatAddress({ host, port }) : undefined
}
