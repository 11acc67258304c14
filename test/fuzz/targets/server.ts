import type { IncomingHttpHeaders, IncomingMessage, Server } from 'node:http'
import { checkConditions, rangeApplies } from '../../../lib/server/conditions.ts'
import { contentDisposition, escapeHtml } from '../../../lib/server/disposition.ts'
import { checkHost, checkToken, mayChange } from '../../../lib/server/guard.ts'
import { parseRanges } from '../../../lib/server/ranges.ts'
import { HttpError } from '../../../lib/server/respond.ts'
import { checkServerOptions } from '../../../lib/server/server-options.ts'
import { parseTarget } from '../../../lib/server/target.ts'
import { isLoopback } from '../../../lib/util/address.ts'
import type { Check, Target } from '../target.ts'

function isClientFault(thrown: unknown): boolean {
  return thrown instanceof HttpError && thrown.status >= 400 && thrown.status < 500
}

/** `Range` and conditional headers. */
export const ranges: Target = {
  name: 'ranges',
  grammar: 'text',
  corpus: ['ranges'],
  words: [
    'bytes=',
    '0-',
    '-1',
    '-0',
    '0-0',
    '499-',
    '9007199254740993-',
    ',',
    'items=0-1',
    'W/"a"',
    '"abc-0"',
    '*'
  ],
  maxBytes: 16 << 10,
  run(input, check) {
    const header = Buffer.from(input).toString('latin1')
    const length = check.random.pick([0, 1, 500, 2 ** 40, Number.MAX_SAFE_INTEGER])
    const parsed = check.turn(() => parseRanges(header, length))
    if (typeof parsed !== 'string') {
      check.that(parsed.length >= 1 && parsed.length <= 64, 'the number of ranges is out of bounds')
      let total = 0
      for (const { start, end } of parsed) {
        check.that(start >= 0 && end > start && end <= length, `a range leaves the file: ${start} to ${end}`)
        total += end - start
      }
      check.that(total <= length, 'ranges overlap')
    }
    const headers: IncomingHttpHeaders = { 'if-match': header, 'if-none-match': header, 'if-range': header }
    const status = check.turn(() => checkConditions(headers, '"abc-0"'))
    return [parsed, status, rangeApplies(headers, '"abc-0"')]
  }
}

/** Request targets, `Host` and `Authorization` headers, one a line; names in headers and pages. */
export const request: Target = {
  name: 'request',
  grammar: 'text',
  corpus: ['request'],
  words: [
    ...[
      '/',
      '/api/torrents',
      '/api/events?torrent=',
      '?token=secret',
      '%2e%2e',
      '%2F',
      '//',
      'http://',
      'Bearer secret'
    ],
    ...[
      'localhost',
      'localhost.',
      'a.localhost',
      '127.0.0.1',
      '[::1]',
      '[::1]:80',
      '192.0.2.1',
      'evil.example',
      '0.0.0.0'
    ]
  ],
  maxBytes: 16 << 10,
  refuses: isClientFault,
  run(input, check) {
    const [url = '', host, authorization, origin] = Buffer.from(input).toString('latin1').split('\n')
    const headers = Object.fromEntries(
      Object.entries({ host, authorization, origin }).filter(([, value]) => value !== undefined)
    )
    const message = { url, headers, method: 'GET' } as unknown as IncomingMessage
    const { elements, query, host: named } = check.turn(() => parseTarget(message))
    check.that(
      elements.length >= 1 && elements.length <= url.length + 1,
      'the path has more elements than letters'
    )
    checkNames(elements.join('/'), check)
    const options = checkServerOptions({ token: 'secret', hosts: ['media.example'] })
    const server = {
      address: () => ({ address: '127.0.0.1', port: 80, family: 'IPv4' })
    } as unknown as Server
    const isNamed = isPassed(() => check.turn(() => checkHost(named, server, options)))
    if (isNamed && named !== undefined)
      check.that(isOurs(named), `the host ${JSON.stringify(named)} is taken for ours`)
    const isKnown = isPassed(() => check.turn(() => checkToken(message, query, options)))
    const hasToken = query.get('token') === 'secret' || /secret/.test(authorization ?? '')
    check.that(!isKnown || hasToken, 'a request without the token passes')
    const changes = mayChange(message, named, options)
    check.that(!changes || origin !== undefined, 'a change without origin passes')
    return [elements.length, [...query.keys()].length, isNamed, isKnown, changes]
  }
}

/** Returns whether a check lets a request pass. */
function isPassed(work: () => void): boolean {
  try {
    work()
    return true
  } catch (thrown) {
    if (!isClientFault(thrown)) throw thrown
    return false
  }
}

function isOurs(host: string): boolean {
  const name = host
    .replace(/:\d*$/, '')
    .replace(/\.$/, '')
    .replace(/^\[|\]$/g, '')
    .toLowerCase()
  return name === 'media.example' || /(?:^|\.)localhost$/.test(name) || isLoopback(name)
}

function checkNames(name: string, check: Check): void {
  const header = check.turn(() => contentDisposition('inline', name))
  check.that(/^[ -~]*$/.test(header), 'a name puts control characters into a header')
  check.that((header.match(/"/g) ?? []).length === 2, 'a name ends its quotes')
  check.that(!/[<>"']/.test(escapeHtml(name)), 'a name ends an element of the page')
}
