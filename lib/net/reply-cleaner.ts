import { limits } from './limits.ts'

interface Head {
  readonly status: number
  readonly chunked: boolean
  /** Bytes of the body, if the head tells a plausible number. */
  readonly length: number | undefined
  /** Name and value of the others that matter. */
  readonly others: readonly (readonly [string, string])[]
}

// head -> body; head -> raw
type State = 'head' | 'body' | 'raw'

const passedOn = ['Content-Type', 'Content-Encoding', 'Location']
const framing = ['Transfer-Encoding', 'Content-Length']
const nothing = Buffer.alloc(0)
const newline = 0x0a
/** White space of Latin-1, as `trimStart` knows it. */
const whitespace = new Set([0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x20, 0xa0])

/**
 * Rewrites the head of one HTTP/1 response so that Node's parser takes it: lines may end in LF alone, and only the status and the
 * headers that matter remain. Trackers send headers that break RFC 9112 in dozens of ways, which every other client ignores.
 * Without chunks the body ends with the connection, or once as many bytes came as were announced: what came with the last of them
 * belongs to it. Anything else than HTTP/1 passes through as it is. The head is bounded; the body is for the reader to bound.
 */
export class ReplyCleaner {
  #state: State = 'head'
  #held: Buffer = nothing
  #headLength = 0
  /** Where in the held bytes no line ends before. */
  #searched = 0
  #left = Number.POSITIVE_INFINITY

  /** Whether the body is as long as announced: nothing that follows belongs to this response. */
  get done(): boolean {
    return this.#state === 'body' && this.#left <= 0
  }

  /** Whether more bytes were announced than came. */
  get cut(): boolean {
    return this.#state === 'body' && this.#left > 0 && this.#left !== Number.POSITIVE_INFINITY
  }

  /** The next bytes for the parser, maybe none. */
  push(chunk: Buffer): Buffer {
    if (this.#state !== 'head') return this.#body(chunk)
    this.#held = Buffer.concat([this.#held, chunk])
    for (;;) {
      const start = this.#startOfHead()
      if (start === undefined) return this.end()
      const end = this.#endOfHead()
      const length = end ?? this.#held.length
      // Longer heads are not even taken apart.
      if (this.#headLength + length > limits.headBytes) return this.end()
      if (end === undefined) return nothing
      const head = parseHead(this.#held.toString('latin1', start, end))
      if (head === undefined) return this.end()
      this.#headLength += length
      this.#held = this.#held.subarray(length)
      this.#searched = 0
      // Interim answers, such as 100 and 103, precede the one that counts.
      if (head.status >= 200) return this.#start(head)
    }
  }

  /** The offset of the first byte that is no white space; undefined when a head cannot begin there. */
  #startOfHead(): number | undefined {
    let at = 0
    while (at < this.#held.length && whitespace.has(this.#held[at] ?? 0)) at++
    return 'HTTP/'.startsWith(this.#held.toString('latin1', at, at + 5)) ? at : undefined
  }

  /** The offset behind the empty line that ends a head; undefined when it has not come yet. */
  #endOfHead(): number | undefined {
    const held = this.#held
    for (let at = held.indexOf(newline, this.#searched); at >= 0; at = held.indexOf(newline, at + 1)) {
      if (held[at + 1] === newline) return at + 2
      if (held[at + 1] === 0x0d && held[at + 2] === newline) return at + 3
    }
    // The rest of an empty line may come with the next chunk.
    this.#searched = Math.max(0, held.length - 2)
    return undefined
  }

  /** Returns the held-back part of an incomplete head; from then on all bytes pass through. */
  end(): Buffer {
    const held = this.#held
    this.#held = nothing
    if (this.#state === 'head') this.#state = 'raw'
    return held
  }

  #start(head: Head): Buffer {
    this.#state = 'body'
    if (head.status === 204 || head.status === 304) this.#left = 0
    else if (!head.chunked && head.length !== undefined) this.#left = head.length
    const rest = this.#held
    this.#held = nothing
    return Buffer.concat([Buffer.from(formatHead(head), 'latin1'), this.#body(rest)])
  }

  #body(chunk: Buffer): Buffer {
    this.#left -= chunk.length
    return chunk
  }
}

function parseHead(text: string): Head | undefined {
  const [first = '', ...lines] = text.split('\n')
  const status = Number(/^HTTP\/\d+(?:\.\d+)?[ \t]+(\d{3})(?!\d)/.exec(first)?.[1])
  // Nothing here asks for an upgrade (101).
  if (!(status >= 100) || status === 101) return undefined
  const values = new Map<string, string[]>([...framing, ...passedOn].map((name) => [name.toLowerCase(), []]))
  for (const line of lines) {
    const colon = line.indexOf(':')
    const list = values.get(line.slice(0, Math.max(0, colon)).trim().toLowerCase())
    if (list === undefined) continue
    // Control characters must not end a line of the head that is made of these.
    const value = [...line.slice(colon + 1)].filter((letter) => letter >= ' ' && letter !== '\x7f').join('')
    list.push(value.trim())
  }
  const all = (name: string): string => (values.get(name) ?? []).join(',')
  return {
    status,
    chunked: /\bchunked\b/i.test(all('transfer-encoding')),
    length: lengthOf(all('content-length')),
    others: passedOn.flatMap((name) => {
      const value = values.get(name.toLowerCase())?.[0]
      return value === undefined ? [] : [[name, value] as const]
    })
  }
}

/** The length that all values agree on; undefined when there is none, and the body ends with the connection. */
function lengthOf(text: string): number | undefined {
  const lengths = new Set(text.split(',').map((part) => /^\s*"?(\d{1,15})"?\s*$/.exec(part)?.[1]))
  lengths.delete(undefined)
  const [only] = lengths
  return only === undefined || lengths.size > 1 ? undefined : Number(only)
}

function formatHead({ status, chunked, others }: Head): string {
  const lines = [`HTTP/1.1 ${status} -`, 'Connection: close']
  if (chunked) lines.push('Transfer-Encoding: chunked')
  for (const [name, value] of others) lines.push(`${name}: ${value}`)
  return `${lines.join('\r\n')}\r\n\r\n`
}
