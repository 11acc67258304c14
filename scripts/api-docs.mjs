// Writes docs/api.md from the docstrings of the built .d.ts files, or checks that it is current.
//   npm run build && node scripts/api-docs.mjs [--write]
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..')
const target = path.join(root, 'docs/api.md')
const { name, exports } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))

const sections = []
for (const [entry, { types }] of Object.entries(exports)) {
  if (types === undefined) continue
  const title = path.posix.join(name, entry)
  const parts = exportsOf(path.join(root, types)).map(({ exported, file, local }) =>
    describe(exported, declarationOf(file, local))
  )
  sections.push(`## \`${title}\`\n\n${parts.join('\n')}`)
}
const text = `# API reference

Made from the docstrings by \`node scripts/api-docs.mjs --write\`; [options.md](options.md) is shorter.

${sections.join('\n')}`

if (process.argv.includes('--write')) writeFileSync(target, text)
else if (!existsSync(target) || readFileSync(target, 'utf8') !== text) {
  console.error(
    'docs/api.md is not what the docstrings say: npm run build && node scripts/api-docs.mjs --write'
  )
  process.exitCode = 1
}
console.log(`${text.split('\n').length} lines of API reference`)

/** Returns the names that a file exports, with the file that declares each. */
function exportsOf(file) {
  const found = []
  const lists = /^export\s+(?:type\s+)?\{([^}]*)\}\s*from\s*'([^']+)'/gm
  for (const [, names, from] of readFileSync(file, 'utf8').matchAll(lists)) {
    for (const item of names.split(',')) {
      const [, local, exported = local] = /^\s*(?:type\s+)?([\w$]+)(?:\s+as\s+([\w$]+))?\s*$/.exec(item) ?? []
      if (local === undefined) continue
      found.push({ exported, local, file: path.join(path.dirname(file), from.replace(/\.[jt]s$/, '.d.ts')) })
    }
  }
  return found.sort((a, b) => (a.exported < b.exported ? -1 : 1))
}

/** Returns the text of a declaration with its docstring, and the file; follows re-exports. */
function declarationOf(file, local) {
  const text = readFileSync(file, 'utf8')
  const head = new RegExp(
    `^((?:/\\*\\*(?:(?!\\*/)[\\s\\S])*\\*/\\n)?)export (?:declare )?((?:abstract )?(?:class|interface|function|type|const) ${local.replace(/\$/g, '\\$')}\\b[\\s\\S]*?)(?=^(?:/\\*\\*|export |declare |import )|(?![\\s\\S]))`,
    'gm'
  )
  const all = [...text.matchAll(head)]
  if (all.length > 0)
    return { comment: all[0][1], texts: all.map(([, , declaration]) => declaration.trim()), file }
  const again = exportsOf(file).find(({ exported }) => exported === local)
  if (again === undefined) throw new Error(`${file} does not declare ${local}`)
  return declarationOf(again.file, again.local)
}

/** Returns the declaration of the class of this package that a class extends, or undefined. */
function baseOf({ texts: [first], file }) {
  const [, base] = /^(?:abstract )?class [^{]*? extends ([\w$]+)/.exec(first) ?? []
  if (base === undefined) return undefined
  const imports = /^import (?:type )?\{([^}]*)\} from '(\.[^']+)'/gm
  for (const [, names, from] of readFileSync(file, 'utf8').matchAll(imports)) {
    const isBase = names.split(',').some((one) => one.trim().replace(/^type /, '') === base)
    if (isBase) return declarationOf(path.join(path.dirname(file), from.replace(/\.[jt]s$/, '.d.ts')), base)
  }
  return undefined
}

/** Returns the public members of a class or interface, without those of its base: name, signature and docstring. */
function membersOf({ texts: [first] }) {
  const members = []
  for (const [, doc = '', member] of first.matchAll(
    /^ {4}((?:\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n {4})?)((?!\/\*\*|\*|\}|#private)[^\n]*(?:\n {5,}[^\n]*|\n {4}\}[^\n]*)*)/gm
  )) {
    if (doc.includes('@internal') || /^private\b/.test(member)) continue
    const signature = member.replace(/\s+/g, ' ').replace(/;\s*$/, '')
    const [, name] = /^(?:(?:static|abstract|readonly|get|set) )*([\w$]+|\[[\w.]+\])/.exec(signature) ?? []
    members.push({ name, signature, says: proseOf(doc) })
  }
  return members
}

/** Returns the members that a class has from classes of this package, except constructors and those that it overrides. */
function inheritedBy(declaration, own) {
  const base = baseOf(declaration)
  if (base === undefined) return []
  const names = new Set(['constructor', ...own.map(({ name }) => name)])
  const members = membersOf(base)
  return [
    ...members.filter(({ name, signature }) => !names.has(name) && !/^protected\b/.test(signature)),
    ...inheritedBy(base, [...own, ...members])
  ]
}

function describe(exported, declaration) {
  const { comment, texts } = declaration
  const [first] = texts
  const out = [`### ${exported}`, '']
  const prose = proseOf(comment)
  if (prose !== '') out.push(prose, '')
  if (!/^(?:abstract )?(?:class|interface)/.test(first)) {
    out.push('```typescript', ...texts.map((text) => text.replace(/;$/, '')), '```', '')
    return out.join('\n')
  }
  const [head] = /^[^{]*/.exec(first)
  out.push('```typescript', head.trim(), '```', '')
  const members = membersOf(declaration)
  for (const { signature, says } of [...members, ...inheritedBy(declaration, members)])
    out.push(`- \`${signature}\`${says === '' ? '' : `  \n  ${says.replace(/\n(?!\n)/g, '\n  ')}`}`)
  out.push('')
  return out.join('\n')
}

/** Converts a docstring to Markdown. */
function proseOf(comment) {
  return comment
    .replace(/^\s*\/\*\*\s?|\s*\*\/\s*$/g, '')
    .replace(/^\s*\*\s?/gm, '')
    .replace(/\{@link ([\w.]+)\}/g, '`$1`')
    .replace(/^@throws /gm, '\nThrows ')
    .replace(/\n{3,}/g, '\n\n')
    .trim()
}
