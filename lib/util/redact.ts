/** Replacement for a masked part of a URL. */
const mask = '…'
/** Path segments that may be shown; any other may be a passkey. */
const harmless = /^(?:announce|scrape)(?:\.php)?$/i
/**
 * Shorter texts are not treated as secrets: they would match by chance. The same goes for path segments that
 * match `word`, such as `tracker`.
 */
const shortestSecret = 4
const word = /^[a-z]{1,7}$/
/** Punctuation that follows a URL in a sentence. */
const punctuation = new Set('.,:;)')

/**
 * Returns a URL or magnet link in a form fit for messages: scheme, host and port. Masks user, password, query
 * values and all path segments but `announce` and `scrape`, because trackers and indexers put passkeys into
 * any of them. Cuts text that is not a URL after its first segment; keeps the info hash of a magnet link. Returns `file:`
 * URLs unchanged.
 */
export function redactUrl(given: string | URL): string {
  const text = String(given).trim()
  if (/^(?:stream-)?magnet:/i.test(text)) return redactMagnet(text)
  if (/^data:/i.test(text)) return `data:${mask}`
  if (/^file:/i.test(text)) return text
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || url.host === '') return redactMalformed(text)
  const path = /^[^:]*:\/\/[^/]*$/.test(text) ? '' : redactPath(url.pathname)
  return `${url.protocol}//${url.host}${path}${url.search === '' ? '' : `?${mask}`}`
}

/** Returns a text with each URL and magnet link in it masked by {@link redactUrl}. */
export function redactText(text: string): string {
  // The length of schemes is limited; otherwise a text of letters and dots would take quadratic time.
  return text.replace(/\b(?:(?:stream-)?magnet:\?|data:|[a-z][a-z\d+.-]{0,30}:\/\/)[^\s'"<>]*/gi, (found) => {
    let end = found.length
    while (punctuation.has(found[end - 1] ?? '')) end--
    return `${redactUrl(found.slice(0, end))}${found.slice(end)}`
  })
}

/**
 * Masks the secrets of a server's URL in a text that the server sent, or that is about the URL. Also masks the beginning
 * of a secret where the text was cut.
 */
export function withoutSecrets(text: string, url: URL): string {
  return secretsOf(url).reduce((left, secret) => maskCut(left.replaceAll(secret, mask), secret), text)
}

/** Masks the beginning of a secret at the end of the text, or at the end of a quote in it. */
function maskCut(text: string, secret: string): string {
  let masked = text
  for (let length = secret.length - 1; length >= shortestSecret; length--) {
    if (!masked.includes(secret.slice(0, shortestSecret))) break
    const start = secret.slice(0, length)
    for (const end of ["'", '…']) masked = masked.replaceAll(start + end, mask + end)
    if (masked.endsWith(start)) masked = masked.slice(0, -length) + mask
  }
  return masked
}

function secretsOf(url: URL): readonly string[] {
  const elements = url.pathname.split('/').filter((element) => !harmless.test(element) && !word.test(element))
  const values = url.search
    .slice(1)
    .split(/[&;]/)
    .map((pair) => pair.slice(pair.indexOf('=') + 1))
  const raw = [url.username, url.password, ...elements, ...values]
  const secrets = new Set([...raw, ...raw.map(decodePercent), ...url.searchParams.values()])
  // Longest first, because one secret may be a part of another.
  return [...secrets].filter(({ length }) => length >= shortestSecret).sort((a, b) => b.length - a.length)
}

function redactPath(path: string): string {
  if (path === '' || path === '/') return path
  const shown = path
    .slice(1)
    .split('/')
    .map((element) => (harmless.test(element) || element === '' ? element : mask))
  return `/${shown.filter((element, at) => element !== mask || shown[at - 1] !== mask).join('/')}`
}

function redactMagnet(text: string): string {
  const hash = /[?&]xt(?:\.\d+)?=(urn:bt[im]h:[\da-z]{32,68})/i.exec(text)?.[1]
  return hash === undefined ? `magnet:?${mask}` : `magnet:?xt=${hash}${mask}`
}

/** Masks text before the last `@`, which may be a password, and after the host, which may be a passkey. */
function redactMalformed(text: string): string {
  const scheme = /^[a-z][a-z\d+.-]*:\/\//i.exec(text)?.[0] ?? ''
  const rest = text.slice(Math.max(scheme.length, text.lastIndexOf('@') + 1))
  const host = /^[^/?#\\\s]*/.exec(rest)?.[0] ?? ''
  return `${scheme}${host}${rest.length > host.length ? mask : ''}`
}

/** Decodes percent-encoding; returns the text unchanged if the result is not valid UTF-8. */
export function decodePercent(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
