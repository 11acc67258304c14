/** A bencoded value that keeps what a decoder drops: order, duplicates, digits. */
export type Node =
  | { readonly kind: 'integer'; readonly digits: string }
  | { readonly kind: 'string'; readonly bytes: Uint8Array; readonly length?: string }
  | { readonly kind: 'list'; readonly items: readonly Node[] }
  | { readonly kind: 'dict'; readonly entries: readonly (readonly [Node, Node])[] }

/** A value and the bytes after it. */
export interface Tree {
  readonly root: Node
  readonly rest: Uint8Array
}

const deepest = 200

/** Reads bencode that is well-formed enough to be mutated as a tree; undefined for anything else. */
export function readTree(bytes: Uint8Array): Tree | undefined {
  const text = Buffer.from(bytes).toString('latin1')
  let at = 0
  const read = (depth: number): Node | undefined => {
    if (depth > deepest) return undefined
    const integer = /i([^e]*)e/y
    integer.lastIndex = at
    const digits = integer.exec(text)
    if (digits !== null) {
      at = integer.lastIndex
      return { kind: 'integer', digits: digits[1] ?? '' }
    }
    const letter = text[at]
    if (letter === 'l' || letter === 'd') {
      at++
      const items: Node[] = []
      while (text[at] !== 'e') {
        const item = read(depth + 1)
        if (item === undefined) return undefined
        items.push(item)
      }
      at++
      if (letter === 'l') return { kind: 'list', items }
      if (items.length % 2 === 1) return undefined
      return { kind: 'dict', entries: pairs(items) }
    }
    const head = /(\d{1,9}):/y
    head.lastIndex = at
    const length = Number(head.exec(text)?.[1] ?? Number.NaN)
    if (!(length <= bytes.length - head.lastIndex)) return undefined
    at = head.lastIndex + length
    return { kind: 'string', bytes: bytes.slice(at - length, at) }
  }
  const root = read(0)
  return root === undefined ? undefined : { root, rest: bytes.slice(at) }
}

function pairs(items: readonly Node[]): [Node, Node][] {
  const entries: [Node, Node][] = []
  for (let n = 1; n < items.length; n += 2) {
    const [key, value] = [items[n - 1], items[n]]
    if (key !== undefined && value !== undefined) entries.push([key, value])
  }
  return entries
}

/** Writes a tree unchanged, whether or not it is bencode. */
export function writeTree({ root, rest }: Tree): Uint8Array {
  const parts: Uint8Array[] = []
  write(root, parts)
  parts.push(rest)
  return new Uint8Array(Buffer.concat(parts))
}

function write(node: Node, parts: Uint8Array[]): void {
  if (node.kind === 'integer') parts.push(Buffer.from(`i${node.digits}e`, 'latin1'))
  else if (node.kind === 'string') parts.push(Buffer.from(`${node.length ?? node.bytes.length}:`), node.bytes)
  else {
    parts.push(Buffer.from(node.kind === 'list' ? 'l' : 'd'))
    for (const child of childrenOf(node)) write(child, parts)
    parts.push(Buffer.from('e'))
  }
}

/** Returns the items of a list; the keys and values of a dictionary alternately. */
export function childrenOf(node: Node): readonly Node[] {
  if (node.kind === 'list') return node.items
  return node.kind === 'dict' ? node.entries.flat() : []
}

/** Returns the number of nodes. */
export function countNodes(node: Node): number {
  let count = 1
  for (const child of childrenOf(node)) count += countNodes(child)
  return count
}

/**
 * Replaces node number `index`, counted in the order of the bytes. `undefined` removes it, and a value's key.
 */
export function replaceNode(root: Node, index: number, change: (node: Node) => Node | undefined): Node {
  let left = index
  const visit = (node: Node): Node | undefined => {
    if (left-- === 0) return change(node)
    if (left < 0) return node
    if (node.kind === 'list') {
      const items = node.items.map(visit)
      return { kind: 'list', items: items.filter((item) => item !== undefined) }
    }
    if (node.kind !== 'dict') return node
    const entries = node.entries.map(([key, value]) => [visit(key), visit(value)] as const)
    return {
      kind: 'dict',
      entries: entries.flatMap(([key, value]) => (key && value ? [[key, value] as const] : []))
    }
  }
  return visit(root) ?? { kind: 'list', items: [] }
}

/** Returns the node with a number, counted as in {@link replaceNode}. */
export function nodeAt(root: Node, index: number): Node {
  let found = root
  replaceNode(root, index, (node) => (found = node))
  return found
}
