import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, Server } from 'node:http'
import { isAddress, isLoopback } from '../util/address.ts'
import { HttpError } from './respond.ts'
import type { CheckedOptions } from './server-options.ts'

/** Header by which a program shows that its request is not from a foreign page: browsers do not let pages set it across origins. */
const intentHeader = 'x-piecewise'

/**
 * Refuses a request for a host name that is not ours. A foreign page can point its own name at this server and would then share our
 * origin (DNS rebinding). An IP address cannot be repointed, so any is accepted when the server is bound beyond loopback.
 * @throws HttpError 403
 */
export function checkHost(host: string | undefined, server: Server, { hosts }: CheckedOptions): void {
  // Browsers always send it.
  if (host === undefined) return
  const name = /^(\[[^\]]*\]|[^:]*)(?::\d*)?$/.exec(host)?.[1]?.toLowerCase() ?? ''
  // An absolute name ends with a dot.
  const bare = name.replace(/\.$/, '')
  if (hosts.has(bare) || bare === 'localhost' || bare.endsWith('.localhost')) return
  const address = name.startsWith('[') ? name.slice(1, -1) : name
  if (isAddress(address)) {
    const bound = server.address()
    const beyond = typeof bound === 'object' && bound !== null && !isLoopback(bound.address)
    if (beyond || hosts.has(address) || isLoopback(address)) return
  }
  throw new HttpError(
    403,
    'the server does not answer under this name; its option hosts lists the names under which it does'
  )
}

/**
 * Refuses a request without a valid token.
 * @throws HttpError 401
 */
export function checkToken(
  request: IncomingMessage,
  query: URLSearchParams,
  { token }: CheckedOptions
): void {
  if (token === undefined) return
  const bearer = /^Bearer +(.*)$/i.exec(request.headers.authorization ?? '')?.[1]
  const given = bearer ?? query.get('token')
  // Comparing hashes of equal length hides the token and its length from timing attacks.
  if (given !== null && timingSafeEqual(digest(given), digest(token))) return
  throw new HttpError(401, 'a token is needed: ?token=… or Authorization: Bearer …', {
    'www-authenticate': 'Bearer'
  })
}

/**
 * Refuses a change that a foreign page may have sent: requires our own origin, or no origin and the header of intent.
 * @throws HttpError 403
 */
export function checkIntent(
  request: IncomingMessage,
  host: string | undefined,
  { readOnly }: CheckedOptions
): void {
  if (readOnly) throw new HttpError(403, 'the server is read-only')
  const { origin } = request.headers
  const site = request.headers['sec-fetch-site']
  const same = origin !== undefined && URL.canParse(origin) && new URL(origin).host === host?.toLowerCase()
  if (origin === undefined ? request.headers[intentHeader] === undefined : !same) {
    throw new HttpError(
      403,
      `changes need the page's own origin, or the header ${intentHeader} from a program`
    )
  }
  if (site === 'cross-site' || site === 'same-site')
    throw new HttpError(403, 'changes from other sites are refused')
}

/** Returns whether {@link checkIntent} accepts a request. */
export function mayChange(
  request: IncomingMessage,
  host: string | undefined,
  options: CheckedOptions
): boolean {
  try {
    checkIntent(request, host, options)
    return true
  } catch {
    return false
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
