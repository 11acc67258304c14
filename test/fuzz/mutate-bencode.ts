import {
  childrenOf,
  countNodes,
  type Node,
  nodeAt,
  readTree,
  replaceNode,
  type Tree,
  writeTree
} from './bencode-tree.ts'
import { mutateBytes } from './mutate-bytes.ts'
import { mutateText, oddNumber } from './mutate-text.ts'
import type { Random } from './random.ts'

/** The material of a mutation of a node. */
interface Sources {
  readonly random: Random
  readonly words: readonly string[]
  /** Another input. */
  readonly other: Uint8Array
}

function text(words: string): Node {
  return { kind: 'string', bytes: Buffer.from(words) }
}

/** Returns the node nested `levels` deeper. */
function nested(node: Node, levels: number, random: Random): Node {
  let deep = node
  const asList = random.oneIn(2)
  for (let n = 0; n < levels; n++)
    deep = asList ? { kind: 'list', items: [deep] } : { kind: 'dict', entries: [[text('a'), deep]] }
  return deep
}

function anyNode({ random, words, other }: Sources): Node {
  const donor = random.oneIn(2) ? readTree(other) : undefined
  if (donor !== undefined) return nodeAt(donor.root, random.below(countNodes(donor.root)))
  const choices: readonly [Node, ...Node[]] = [
    { kind: 'integer', digits: oddNumber(random) },
    text(random.pick(words) ?? ''),
    { kind: 'string', bytes: new Uint8Array(random.length(2048)).fill(random.below(256)) },
    { kind: 'list', items: [] },
    { kind: 'dict', entries: [] }
  ]
  return random.pick(choices)
}

function mutateNode(node: Node, sources: Sources): Node | undefined {
  const { random, words, other } = sources
  if (random.oneIn(6)) return anyNode(sources)
  if (random.oneIn(8)) return undefined
  if (random.oneIn(20)) return nested(node, random.length(150), random)
  if (node.kind === 'integer') {
    const digits = random.pick([
      oddNumber(random),
      `-${node.digits}`,
      `0${node.digits}`,
      `${node.digits}0`,
      '',
      '-0'
    ])
    return { kind: 'integer', digits }
  }
  if (node.kind === 'string') {
    if (random.oneIn(12))
      return { ...node, length: random.pick([oddNumber(random), `0${node.bytes.length}`, '-1', '']) }
    const mutated = random.oneIn(2)
      ? mutateText(node.bytes, random, words, other)
      : mutateBytes(node.bytes, random, other)
    return { kind: 'string', bytes: mutated }
  }
  return mutateContainer(node, sources)
}

function mutateContainer(node: Node & { readonly kind: 'list' | 'dict' }, sources: Sources): Node {
  const { random, words } = sources
  if (node.kind === 'list') {
    const at = random.below(node.items.length + 1)
    const item = random.oneIn(2) ? anyNode(sources) : (random.pick(node.items) ?? anyNode(sources))
    const count = random.oneIn(3) ? 1 + random.length(random.oneIn(8) ? 3000 : 40) : 1
    const items = [...node.items.slice(0, at), ...Array<Node>(count).fill(item), ...node.items.slice(at)]
    return { kind: 'list', items: random.oneIn(4) ? items.reverse() : items }
  }
  const key = random.oneIn(4) ? anyNode(sources) : text(random.pick(words) ?? '')
  const value = random.oneIn(2) ? anyNode(sources) : (random.pick(childrenOf(node)) ?? anyNode(sources))
  const at = random.below(node.entries.length + 1)
  const entries = [...node.entries.slice(0, at), [key, value] as const, ...node.entries.slice(at)]
  const again = random.pick(node.entries)
  if (random.oneIn(4) && again !== undefined) entries.push(again)
  return { kind: 'dict', entries: random.oneIn(4) ? entries.reverse() : entries }
}

/**
 * Mutates a bencoded value: lengths, digits, keys, nesting, duplicates, order, parts of another value;
 * occasionally raw bytes.
 */
export function mutateBencode(
  bytes: Uint8Array,
  random: Random,
  words: readonly string[],
  other: Uint8Array
): Uint8Array {
  const tree = random.oneIn(8) ? undefined : readTree(bytes)
  if (tree === undefined) return mutateBytes(bytes, random, other)
  const { root, rest } = tree
  if (random.oneIn(20)) return writeTree({ root, rest: mutateBytes(rest, random, other) })
  const index = random.below(countNodes(root))
  return writeTree({
    root: replaceNode(root, index, (node) => mutateNode(node, { random, words, other })),
    rest
  })
}

/** Yields smaller values, each without one node. */
export function* smallerBencode(bytes: Uint8Array): Generator<Uint8Array> {
  const tree: Tree | undefined = readTree(bytes)
  if (tree === undefined) return
  const count = Math.min(500, countNodes(tree.root))
  for (let index = 0; index < count; index++)
    yield writeTree({ root: replaceNode(tree.root, index, () => undefined), rest: tree.rest })
}
