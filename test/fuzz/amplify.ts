import {
  childrenOf,
  countNodes,
  type Node,
  nodeAt,
  readTree,
  replaceNode,
  writeTree
} from './bencode-tree.ts'
import type { Random } from './random.ts'
import type { Grammar } from './target.ts'

/** Repeats one part of the input until it is as long as the parser accepts. Shows work that grows too fast. */
export function amplify(input: Uint8Array, random: Random, grammar: Grammar, mostBytes: number): Uint8Array {
  const length = random.oneIn(2) ? mostBytes : Math.max(input.length, random.length(mostBytes))
  const tree = grammar === 'bencode' ? readTree(input) : undefined
  if (tree !== undefined && !random.oneIn(8)) {
    const index = random.below(countNodes(tree.root))
    const room = length - input.length
    return writeTree({ ...tree, root: replaceNode(tree.root, index, (node) => filled(node, room, random)) })
  }
  const parts = grammar === 'bytes' || grammar === 'bencode' ? undefined : wordsOf(input)
  const part = parts === undefined ? anyPart(input, random) : (random.pick(parts) ?? input)
  const count = Math.floor((length - input.length) / Math.max(1, part.length))
  const at = part.byteOffset - input.byteOffset
  return new Uint8Array(
    Buffer.concat([
      input.subarray(0, at),
      ...Array<Uint8Array>(Math.max(0, count)).fill(part),
      input.subarray(at)
    ])
  )
}

function anyPart(input: Uint8Array, random: Random): Uint8Array {
  const at = random.below(input.length)
  return input.subarray(at, at + 1 + random.length(Math.min(256, input.length - at)))
}

/** Returns the pieces between separators, each with the separator after it. */
function wordsOf(input: Uint8Array): Uint8Array[] {
  const text = Buffer.from(input.buffer, input.byteOffset, input.byteLength).toString('latin1')
  return [...text.matchAll(/[^,;&\s/:{}[\]]*[,;&\s/:{}[\]]/g)].map(({ index, 0: found }) =>
    input.subarray(index, index + found.length)
  )
}

/** Returns the node with as many bytes more. */
function filled(node: Node, room: number, random: Random): Node {
  if (node.kind === 'string') {
    const part = node.bytes.length > 0 && random.oneIn(2) ? node.bytes : Uint8Array.of(random.below(256))
    return {
      kind: 'string',
      bytes: Buffer.concat(Array<Uint8Array>(Math.floor(Math.max(0, room) / part.length) + 1).fill(part))
    }
  }
  if (node.kind === 'integer') return { kind: 'integer', digits: '9'.repeat(Math.max(1, room)) }
  const child = random.pick(childrenOf(node)) ?? { kind: 'list', items: [] }
  const size = writeTree({ root: child, rest: new Uint8Array() }).length
  if (node.kind === 'list') {
    const count = Math.floor(Math.max(0, room) / size)
    return { kind: 'list', items: [...node.items, ...Array<Node>(count).fill(child)] }
  }
  const value = random.oneIn(2) ? nodeAt(child, 0) : ({ kind: 'list', items: [] } as const)
  const perEntry = 10 + writeTree({ root: value, rest: new Uint8Array() }).length
  const entries = Array.from({ length: Math.floor(Math.max(0, room) / perEntry) }, (_, n) => {
    const bytes = Buffer.from(`z${String(n).padStart(6, '0')}`)
    return [{ kind: 'string', bytes }, value] as const
  })
  return { kind: 'dict', entries: [...node.entries, ...(random.oneIn(2) ? entries : entries.reverse())] }
}
