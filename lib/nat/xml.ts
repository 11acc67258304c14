import { toLatin1 } from '../util/bytes.ts'
import { limits } from './limits.ts'

/** An element of an XML document. */
export interface XmlElement {
  /** Name in lower case, without its namespace prefix. */
  readonly name: string
  /** Index of the element around it; -1 for the outermost. */
  readonly parent: number
  /** Text directly inside, trimmed. */
  readonly text: string
}

interface OpenElement {
  readonly name: string
  readonly parent: number
  text: string
}

const entities: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }

/**
 * Returns the elements of an XML document from a router, in document order; undefined if it is cut, has too many
 * or too deep elements, or a document type, which could define entities. Attributes are ignored. Like the
 * parsers of other clients, it does not object to wrong or missing end tags.
 */
export function parseXml(bytes: Uint8Array): XmlElement[] | undefined {
  if (bytes.length > limits.httpBytes) return undefined
  const text = toLatin1(bytes)
  const elements: OpenElement[] = []
  /** Indices of the open elements. */
  const open: number[] = []
  const addText = (from: number, to: number, decode: (part: string) => string): void => {
    const element = elements[open.at(-1) ?? -1]
    if (element !== undefined && to > from) element.text += decode(text.slice(from, to))
  }
  let at = 0
  for (;;) {
    const tagAt = text.indexOf('<', at)
    if (tagAt < 0) break
    addText(at, tagAt, decodeEntities)
    const special = specials.find(({ start }) => text.startsWith(start, tagAt))
    if (special !== undefined) {
      const from = tagAt + special.start.length
      const to = text.indexOf(special.end, from)
      if (to < 0) return undefined
      if (special.isText) addText(from, to, (part) => part)
      at = to + special.end.length
      continue
    }
    const end = tagEnd(text, tagAt + 1)
    if (end < 0 || text[tagAt + 1] === '!') return undefined
    at = end + 1
    const tag = text.slice(tagAt + 1, end)
    const name = localName(tag)
    if (tag.startsWith('/')) {
      const last = open.findLastIndex((index) => elements[index]?.name === name)
      if (last >= 0) open.length = last
      continue
    }
    if (elements.length === limits.xmlElements || open.length === limits.xmlDepth) return undefined
    elements.push({ name, parent: open.at(-1) ?? -1, text: '' })
    if (!tag.endsWith('/')) open.push(elements.length - 1)
  }
  return elements.map(({ name, parent, text: inside }) => ({ name, parent, text: inside.trim() }))
}

const specials = [
  { start: '<?', end: '?>', isText: false },
  { start: '<!--', end: '-->', isText: false },
  { start: '<![CDATA[', end: ']]>', isText: true }
] as const

/** Returns the index of the `>` that ends a tag, which may stand within quotes before; -1 if there is none. */
function tagEnd(text: string, from: number): number {
  let quote = ''
  for (let at = from; at < text.length; at++) {
    const char = text[at] ?? ''
    if (quote !== '') {
      if (char === quote) quote = ''
    } else if (char === '"' || char === "'") quote = char
    else if (char === '>') return at
  }
  return -1
}

function localName(tag: string): string {
  const name = /^\/?\s*([^\s/>]*)/.exec(tag)?.[1] ?? ''
  return name.slice(name.lastIndexOf(':') + 1).toLowerCase()
}

function decodeEntities(text: string): string {
  return text.replace(
    /&(?:(lt|gt|amp|quot|apos)|#(\d{1,7})|#x([\da-f]{1,6}));/gi,
    (all, name, decimal, hex) => {
      if (name !== undefined) return entities[String(name).toLowerCase()] ?? all
      const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal)
      return code <= 0x10ffff ? String.fromCodePoint(code) : all
    }
  )
}
