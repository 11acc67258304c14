import { limits } from './limits.ts'

interface Head {
  readonly status: number
  readonly chunked: boolean
  /** Body length from the head; undefined if missing or implausible. */
  readonly length: number | undefined
  /** Name and value of each header that is passed on. */
  readonly others: readonly (readonly [string, string])[]
}

// head -> body; head -> raw
type State = 'head' | 'body' | 'raw'

const passedOn = ['Content-Type', 'Content-Encoding', 'Location']
const framing = ['Transfer-Encoding', 'Content-Length']
const nothing = Buffer.alloc(0)
const newline = 0x0a
/** White space in Latin-1, the same set as `trimStart`. */
const whitespace = new Set([0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x20, 0xa0])

/**
 * Rewrites the head of one HTTP/1 response so that Node's parser accepts it: accepts LF line ends, and keeps
 * only the status and the headers in use. Trackers send headers that violate RFC 9112 in dozens of ways,
 * which every other client ignores.
 *
 * Without chunked encoding, the body ends with the connection, or when the announced length has arrived;
 * bytes in the same chunk beyond that length are kept. Data that is not HTTP/1 passes through unchanged. The
 * head is limited in size; the reader limits the body.
 */
export class ReplyCleaner {
  #state: State = 'head'
  #held: Buffer = nothing
  #headLength = 0
  /** Offset before which no line end completes the head. */
  #searched = 0
  #remaining = Number.POSITIVE_INFINITY

  /** Whether the body has reached its announced length; later bytes do not belong to this response. */
  get done(): boolean {
    return this.#state === 'body' && this.#remaining <= 0
  }

  /** Whether the response announced more bytes than arrived. */
  get cut(): boolean {
    return this.#state === 'body' && this.#remaining > 0 && this.#remaining !== Number.POSITIVE_INFINITY
  }

  /** Returns the next bytes for the parser; may be empty. */
  push(chunk: Buffer): Buffer {
    if (this.#state !== 'head') return this.#body(chunk)
    this.#held = Buffer.concat([this.#held, chunk])
    for (;;) {
      const start = this.#startOfHead()
      if (start === undefined) return this.end()
      const end = this.#endOfHead()
      const length = end ?? this.#held.length
      // Heads above the limit are not parsed.
      if (this.#headLength + length > limits.headBytes) return this.end()
      if (end === undefined) return nothing
      const head = parseHead(this.#held.toString('latin1', start, end))
      if (head === undefined) return this.end()
      this.#headLength += length
      this.#held = this.#held.subarray(length)
      this.#searched = 0
      // Interim responses, such as 100 and 103, precede the final one.
      if (head.status >= 200) return this.#start(head)
    }
  }

  /** Returns the offset of the first byte that is not white space; undefined if no head can begin there. */
  #startOfHead(): number | undefined {
    let at = 0
    while (at < this.#held.length && whitespace.has(this.#held[at] ?? 0)) at++
    return 'HTTP/'.startsWith(this.#held.toString('latin1', at, at + 5)) ? at : undefined
  }

  /** Returns the offset after the empty line that ends a head; undefined if it has not arrived yet. */
  #endOfHead(): number | undefined {
    const held = this.#held
    for (let at = held.indexOf(newline, this.#searched); at >= 0; at = held.indexOf(newline, at + 1)) {
      if (held[at + 1] === newline) return at + 2
      if (held[at + 1] === 0x0d && held[at + 2] === newline) return at + 3
    }
    // The rest of an empty line may arrive with the next chunk.
    this.#searched = Math.max(0, held.length - 2)
    return undefined
  }

  /** Returns the withheld part of an incomplete head; later bytes pass through unchanged. */
  end(): Buffer {
    const held = this.#held
    this.#held = nothing
    if (this.#state === 'head') this.#state = 'raw'
    return held
  }

  #start(head: Head): Buffer {
    this.#state = 'body'
    if (head.status === 204 || head.status === 304) this.#remaining = 0
    else if (!head.chunked && head.length !== undefined) this.#remaining = head.length
    const rest = this.#held
    this.#held = nothing
    return Buffer.concat([Buffer.from(formatHead(head), 'latin1'), this.#body(rest)])
  }

  #body(chunk: Buffer): Buffer {
    this.#remaining -= chunk.length
    return chunk
  }
}

function parseHead(text: string): Head | undefined {
  const [first = '', ...lines] = text.split('\n')
  const status = Number(/^HTTP\/\d+(?:\.\d+)?[ \t]+(\d{3})(?!\d)/.exec(first)?.[1])
  // We never request an upgrade (101).
  if (!(status >= 100) || status === 101) return undefined
  const values = new Map<string, string[]>([...framing, ...passedOn].map((name) => [name.toLowerCase(), []]))
  for (const line of lines) {
    const colon = line.indexOf(':')
    const list = values.get(line.slice(0, Math.max(0, colon)).trim().toLowerCase())
    if (list === undefined) continue
    // Control characters could end a line of the rewritten head.
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

/** Returns the length that all values agree on; undefined if there is none, and then the body ends with the connection. */
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
