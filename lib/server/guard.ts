import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, Server } from 'node:http'
import { isAddress, isLoopback } from '../util/address.ts'
import { HttpError } from './respond.ts'
import type { CheckedOptions } from './server-options.ts'

/** The header by which a program says that no foreign page sends its request: browsers let none set it. */
const intentHeader = 'x-piecewise'

/**
 * Refuses a request that is addressed to a name which is not ours: a foreign page can let its own name point here, and would then be
 * of one origin with us (DNS rebinding). An address cannot be pointed elsewhere, so any does when the server is bound beyond loopback.
 * @throws HttpError 403
 */
export function checkHost(host: string | undefined, server: Server, { hosts }: CheckedOptions): void {
  // Only what is no browser leaves it out.
  if (host === undefined) return
  const name = /^(\[[^\]]*\]|[^:]*)(?::\d*)?$/.exec(host)?.[1]?.toLowerCase() ?? ''
  // The dot of the root of all names may stand behind a name.
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
 * Refuses a request without the token.
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
  // Hashes have one length, so that nothing is learnt from the time, the length of the token included.
  if (given !== null && timingSafeEqual(digest(given), digest(token))) return
  throw new HttpError(401, 'a token is needed: ?token=… or Authorization: Bearer …', {
    'www-authenticate': 'Bearer'
  })
}

/**
 * Refuses a change that a foreign page may have sent: it takes our own origin, or no origin at all and the header of intent.
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
    throw new HttpError(403, 'changes are not for other sites')
}

/** Whether {@link checkIntent} lets a request change something. */
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
