import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { findRoot } from './support/root.ts'

const root = findRoot()

/** A declaration of lib/: an exported symbol, or a public method or getter of an exported class. */
interface Declaration {
  readonly place: string
  readonly name: string
  /** Class of a member. */
  readonly owner: string
  /** The first line, and the lines down to the end of the body. */
  readonly head: string
  readonly body: string
  /** Text of the docstring, if there is one. */
  readonly doc: string | undefined
}

const symbolPattern =
  /^export\s+(?:declare\s+)?(?:abstract\s+)?(?:async\s+)?(?:function\*?|class|interface|type|const|let)\s+(\w+)/
const memberPattern = /^ {2}(?:static\s+)?(?:async\s+)?(?:get\s+)?\*?([a-zA-Z]\w*)(?:<[^>]*>)?\(/
/** Properties of interfaces and classes, quoted names of events included. */
const propertyPattern = /^ {2}(?:readonly )?('?[a-zA-Z][\w-]*'?)\??:/
/** Members whose contract is that of the language. */
const wellKnown = new Set(['constructor', 'next', 'return', 'throw', 'toString', 'toJSON'])

const files = readdirSync(path.join(root, 'lib'), { recursive: true, encoding: 'utf8' })
  .map((file) => file.replaceAll('\\', '/'))
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))

function textOf(file: string): string {
  return readFileSync(path.join(root, 'lib', file), 'utf8')
}

/** Returns the docstring that ends above a line, decorators and biome comments aside. */
function docstringAbove(lines: readonly string[], at: number): string | undefined {
  let last = at - 1
  while (/^\s*\/\/ biome-ignore/.test(lines[last] ?? '')) last--
  if (!/\*\/\s*$/.test(lines[last] ?? '')) return undefined
  let first = last
  while (first > 0 && !/\/\*\*/.test(lines[first] ?? '')) first--
  return lines
    .slice(first, last + 1)
    .join(' ')
    .replace(/\/\*\*|\*\/|\s\*\s/g, ' ')
    .trim()
}

function bodyFrom(lines: readonly string[], at: number, indent: string): string {
  let end = at
  const isEnd = new RegExp(`^${indent}[}\\])]|^${indent}\\S.*[;}]$`)
  while (end < lines.length && (end === at || !isEnd.test(lines[end] ?? ''))) end++
  return lines.slice(at, end + 1).join('\n')
}

/** Returns the members of each interface and its bases, which implementing classes need not explain again. */
function interfaceMembers(): Map<string, Set<string>> {
  const members = new Map<string, Set<string>>()
  const bases = new Map<string, string>()
  const declaration = /^export interface (\w+)(?: extends (\w+))?[^{]*\{\n([\s\S]*?)^\}/gm
  for (const file of files) {
    for (const [, name = '', base, body = ''] of textOf(file).matchAll(declaration)) {
      const names = [...body.matchAll(/^ {2}(?:readonly )?(\w+)/gm)].map((match) => match[1] ?? '')
      members.set(name, new Set([...(members.get(name) ?? []), ...names]))
      if (base !== undefined) bases.set(name, base)
    }
  }
  for (const [name, base] of bases) {
    for (const member of members.get(base) ?? []) members.get(name)?.add(member)
  }
  return members
}

function declarationsOf(file: string): Declaration[] {
  const lines = textOf(file).split('\n')
  const found: Declaration[] = []
  let owner = ''
  let inherited = new Set<string>()
  lines.forEach((head, at) => {
    const symbol = symbolPattern.exec(head)
    if (/^export\s+(?:abstract\s+)?(?:class|interface)\b/.test(head)) {
      owner = symbol?.[1] ?? ''
      const contracts = /\bimplements\s+([^{]*)/.exec(head)?.[1]?.split(',') ?? []
      inherited = new Set(contracts.flatMap((name) => [...(members.get(name.trim()) ?? [])]))
    } else if (head.startsWith('}')) owner = ''
    const member =
      owner === '' || symbol !== null ? null : (memberPattern.exec(head) ?? propertyPattern.exec(head))
    const name = symbol?.[1] ?? member?.[1]
    if (name === undefined || wellKnown.has(name) || (member !== null && inherited.has(name))) return
    // The first signature of an overloaded function documents all.
    if (found.at(-1)?.name === name && found.at(-1)?.owner === (symbol ? '' : owner)) return
    found.push({
      place: `${file}:${at + 1}`,
      name,
      owner: symbol ? '' : owner,
      head,
      body: bodyFrom(lines, at, symbol ? '' : '  '),
      doc: docstringAbove(lines, at)
    })
  })
  return found
}

const members = interfaceMembers()
const declarations = files.flatMap(declarationsOf)

/** Names that the entry files export. */
const published = new Set(
  files
    .filter((file) => !file.includes('/'))
    .flatMap((file) => [...textOf(file).matchAll(/^export (?:type )?\{([^}]*)\}/gm)])
    .flatMap(([, names = '']) => names.split(',').map((name) => name.replace(/\btype\b/, '').trim()))
)

/** Names that say their unit. */
const unitName =
  /(?:Ms|Seconds|Bytes|Count|Length|Index|Size|Port|Offset|Id|Bits|Percent|count|length|index|size|port|offset|id|is\w+)$/

/** Returns what a docstring would have to say of a declaration: its errors, or the unit of its number. */
function isWorthSaying({ name, head, body }: Declaration): boolean {
  if (propertyPattern.test(head)) return false
  if (/\bthrow (?!thrown\b)/.test(body)) return true
  if (unitName.test(name)) return false
  return /^export const \w+(?:: number)? = [\d(]/.test(head) || /\): number \{/.test(head)
}

test('what users see, errors and numbers without a unit have a docstring', () => {
  const wrong = declarations.filter(
    (one) => one.doc === undefined && (published.has(one.owner || one.name) || isWorthSaying(one))
  )
  assert.deepEqual(
    wrong.map(({ place, name }) => `${place} ${name}`),
    []
  )
})

const emptyWords = new Set(
  'a an the of to for in on from with and or as by at this its it is are all one each whether returns return sets gets makes create creates options number'.split(
    ' '
  )
)

function wordsIn(text: string): string[] {
  return text
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '' && !emptyWords.has(word))
    .map((word) => word.replace(/ies$/, 'y').replace(/(?:es|s|ed|ing|e)$/, ''))
}

function saysMore({ owner, head, doc = '' }: Declaration): boolean {
  const known = new Set(wordsIn(`${owner} ${head}`))
  return wordsIn(doc).some((word) => !known.has(word))
}

test('a docstring says more than the declaration below it', () => {
  const wrong = declarations.filter(
    (one) => one.doc !== undefined && !published.has(one.owner || one.name) && !saysMore(one)
  )
  assert.deepEqual(
    wrong.map(({ place, doc }) => `${place} ${doc}`),
    []
  )
})
