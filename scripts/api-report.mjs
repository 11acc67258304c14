// Reports the public types in the emitted .d.ts files as a sorted list of lines `<name>  <signature>`: one for each declaration
// reachable from the entries, and one for each of its members. TypeScript 7 has no compiler API, so this parses the text that tsc
// writes, and nothing else: no comments, no namespaces, no default exports. Members of an abstract class that a program cannot name
// count as members of the class that extends it; the same holds for interfaces marked @internal.
import { readFileSync } from 'node:fs'
import path from 'node:path'

const internalMark = '@internal '

/** Returns the lines of a package; `root` is the folder of its package.json. */
export function apiReport(root) {
  const { name, exports } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
  const files = new Map()
  const moduleOf = (file) => {
    let found = files.get(file)
    if (found === undefined) files.set(file, (found = parseModule(file)))
    return found
  }
  /** Declarations by file and name, and whether a program can use them as a value. */
  const reached = new Map()
  const reach = (file, local, isValue) => {
    const target = resolve(moduleOf, file, local)
    if (target === undefined) return undefined
    const known = reached.get(target)
    if (known !== undefined && (known.isValue || !isValue)) return target
    reached.set(target, { isValue })
    reachWords(target, isValue)
    return target
  }
  /** Adds the names in a declaration, and in the abstract class that it extends. That class itself counts only if it is named elsewhere. */
  const reachWords = (target, isValue) => {
    const base = abstractBaseOf(moduleOf, target)
    if (base !== undefined) reachWords(base, false)
    const [head, ...members] = membersOf(target, isValue)
    const text = [base === undefined ? head : withoutBase(head), ...members].join(' ')
    for (const [word] of text.matchAll(/[A-Za-z_$][\w$]*/g))
      if (word !== target.name) reach(target.file, word, false)
  }
  const lines = new Set()
  for (const [entry, target] of Object.entries(exports)) {
    if (typeof target !== 'object') continue
    const file = path.join(root, target.types)
    const title = path.posix.join(name, entry)
    for (const { exported, local, isType } of moduleOf(file).exported) {
      if (reach(file, local, !isType) === undefined)
        throw new Error(`${file}: ${exported} is declared nowhere`)
      lines.add(`${exported}  ${title} exports ${isType ? 'type ' : ''}${exported}`)
    }
  }
  const names = new Map()
  for (const target of reached.keys()) names.set(target.name, [...(names.get(target.name) ?? []), target])
  for (const [target, { isValue }] of reached) {
    const [first, ...more] = names.get(target.name)
    const name =
      more.length === 0 || first === target
        ? target.name
        : `${target.name}@${path.basename(target.file, '.d.ts')}`
    let [head, ...members] = membersOf(target, isValue)
    for (let one = target; ; ) {
      one = abstractBaseOf(moduleOf, one)
      if (one === undefined || reached.has(one)) break
      const known = new Set(members.map(memberName))
      const [baseHead, ...inherited] = membersOf(one, false)
      members.push(...inherited.filter((member) => !known.has(memberName(member))))
      head = withoutBase(head) + (/ extends .*/.exec(baseHead)?.[0] ?? '')
    }
    lines.add(`${name}  ${head}`)
    for (const member of members) lines.add(`${name}.${memberName(member)}  ${member}`)
  }
  return [...lines].sort()
}

/**
 * Returns the names of declarations and members that differ between two reports. A declaration that only one of them has is listed
 * without its members.
 */
export function changedNames(before, after) {
  const [old, now] = [before, after].map((lines) => {
    const byName = new Map()
    for (const line of lines) {
      const name = line.slice(0, line.indexOf('  '))
      byName.set(name, `${byName.get(name) ?? ''}${line}\n`)
    }
    return byName
  })
  const names = [...new Set([...old.keys(), ...now.keys()])].filter((name) => old.get(name) !== now.get(name))
  const ofWhole = (name) => name.slice(0, Math.max(0, name.indexOf('.')))
  const isWhole = (name) => old.has(name) !== now.has(name)
  return names.filter((name) => ofWhole(name) === '' || !isWhole(ofWhole(name))).sort()
}

/**
 * Returns the names that no point of a changelog section has in backticks. A member may be named as `Type.member`, as `type.member`,
 * or alone, if no other declaration has a member of that name or the same point names the type.
 */
export function unnamed(names, section, lines) {
  const points = section
    .split(/^- /m)
    .map((point) => [...point.matchAll(/`([^`]+)`/g)].map((match) => match[1]).join('\n'))
  const owners = new Map()
  for (const line of lines) {
    const [type, member] = parts(line.slice(0, line.indexOf('  ')))
    if (member !== undefined) owners.set(member, (owners.get(member) ?? new Set()).add(type))
  }
  return names.filter((name) => {
    const [type, member] = parts(name)
    const isNamed = (spans) => {
      if (member === undefined) return hasWord(spans, type)
      if (member === 'constructor')
        return hasWord(spans, `new ${type}`) || hasWord(spans, `${type}.constructor`)
      return (
        hasWord(spans, member) &&
        ((owners.get(member)?.size ?? 0) <= 1 || hasWord(spans, type) || hasWord(spans, instance(type)))
      )
    }
    return !points.some(isNamed)
  })
}

function parts(name) {
  const dot = name.indexOf('.')
  return dot < 0 ? [name] : [name.slice(0, dot), name.slice(dot + 1)]
}

function instance(type) {
  return type.slice(0, 1).toLowerCase() + type.slice(1)
}

function hasWord(text, word) {
  const escaped = word.replace(/[\\^$.*+?()[\]{}|-]/g, '\\$&')
  return new RegExp(`(?<![\\w$])${escaped}(?![\\w$])`).test(text)
}

// ---- declarations ----

/** Returns the exports, imports and declarations of a file. */
function parseModule(file) {
  const imported = new Map()
  const exported = []
  const declared = new Map()
  for (const statement of statementsOf(withoutComments(readFileSync(file, 'utf8')))) {
    if (/\bimport\(/.test(statement))
      throw new Error(`${file}: scripts/api-report.mjs does not follow import() in types`)
    const list = /^(import|export)\s*(type\b)?\s*\{([^}]*)\}(?:\s*from\s*['"]([^'"]+)['"])?/.exec(statement)
    if (list !== null) {
      const [, word, allTypes, names = '', from] = list
      for (const item of names.split(',')) {
        const match = /^\s*(type\s+)?([\w$]+)(?:\s+as\s+([\w$]+))?\s*$/.exec(item)
        if (match === null) continue
        const [, oneType, outer, inner = outer] = match
        const isType = allTypes !== undefined || oneType !== undefined
        if (word === 'import') imported.set(inner, { name: outer, from })
        else if (from === undefined) exported.push({ exported: inner, local: outer, isType })
        else {
          imported.set(`export ${inner}`, { name: outer, from })
          exported.push({ exported: inner, local: `export ${inner}`, isType })
        }
      }
      continue
    }
    if (/^export\s*\*|^export\s+default|^declare\s+(?:module|global|namespace)/.test(statement)) {
      throw new Error(`${file}: scripts/api-report.mjs does not know '${statement.slice(0, 60)}'`)
    }
    const head =
      /^(?:@internal\s+)?(export\s+)?(?:declare\s+)?(abstract\s+class|class|interface|function|type|const|let)\s+([\w$]+)/.exec(
        statement
      )
    if (head === null) continue
    const [, isExported, kind = '', name = ''] = head
    const isInternal = statement.startsWith(internalMark)
    const text = statement.replace(/^(?:@internal\s+)?(?:export\s+)?(?:declare\s+)?/, '')
    const before = declared.get(name)
    // Overloads of a function share one name.
    if (before !== undefined) before.texts.push(text)
    else declared.set(name, { file, name, kind, texts: [text], head: headOf(kind, text), isInternal })
    if (isExported !== undefined && before === undefined) {
      exported.push({ exported: name, local: name, isType: kind === 'interface' || kind === 'type' })
    }
  }
  return { imported, exported, declared }
}

/** Returns the declaration that a name in a file refers to; undefined for names of other packages or of the language. */
function resolve(moduleOf, file, name) {
  const { imported, exported, declared } = moduleOf(file)
  if (declared.has(name)) return declared.get(name)
  const { name: outer, from } = imported.get(name) ?? {}
  if (from?.startsWith('.')) {
    const next = path.join(path.dirname(file), from.replace(/\.(?:ts|js)$/, '.d.ts'))
    const { local } = moduleOf(next).exported.find((one) => one.exported === outer) ?? {}
    return resolve(moduleOf, next, local ?? outer)
  }
  const again = exported.find((one) => one.exported === name && one.local !== name)
  return again === undefined ? undefined : resolve(moduleOf, file, again.local)
}

const extension = /^((?:abstract )?class [\w$]+|interface [\w$]+) extends ([\w$]+)/

/** Returns the abstract class, or the interface marked @internal, of this package that a declaration extends. */
function abstractBaseOf(moduleOf, { file, head }) {
  const name = extension.exec(head)?.[2]
  const base = name === undefined ? undefined : resolve(moduleOf, file, name)
  return base?.head.startsWith('abstract ') === true || base?.isInternal === true ? base : undefined
}

function withoutBase(head) {
  return head.replace(extension, '$1')
}

function headOf(kind, text) {
  if (/class|interface/.test(kind)) return tidy(text.slice(0, bodyStart(text)))
  return kind === 'const' && /^const\s+[\w$]+:\s*\{/.test(text)
    ? tidy(text.slice(0, text.indexOf(':')))
    : tidy(text)
}

/** Returns the signatures of a declaration, one per member. Without the constructor, if no program can name the class as a value. */
function membersOf({ kind, texts, head }, isValue) {
  const isBody = /class|interface/.test(kind)
  if (!isBody && !(kind === 'const' && head !== tidy(texts[0]))) return texts.map(tidy)
  const members = texts.flatMap((text) => split(text.slice(bodyStart(text) + 1, text.lastIndexOf('}')), ';'))
  return [
    head,
    ...members.map(tidy).flatMap((member) => {
      if (member === '' || member.startsWith('#private') || member.startsWith(internalMark)) return []
      if (/^private\b/.test(member) && !/^private\s*[?:(<]/.test(member)) return []
      if (/^(?:protected\s+)?constructor\(/.test(member) && !isValue) return []
      // The meaning of an error code is prose, not part of the API.
      return [isBody ? member : member.replace(/: (['"]).*\1$/, ': string')]
    })
  ]
}

/** Returns the index of the brace that opens the body; type parameters and bases may contain braces too. */
function bodyStart(text) {
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    const char = text[at]
    if (char === '{' && depth === 0) return at
    if ('(<{['.includes(char)) depth++
    else if (')>}]'.includes(char) && text[at - 1] !== '=') depth--
  }
  return text.length
}

function memberName(member) {
  const plain = member.replace(
    /^(?:(?:readonly|static|abstract|protected|override|get|set|async)\s+(?![?:(<]))+/,
    ''
  )
  const [, symbol, quoted, name] = /^(?:\[(Symbol\.\w+)\]|(['"][^'"]+['"])|([\w$]+))/.exec(plain) ?? []
  return (
    symbol ??
    quoted?.slice(1, -1) ??
    (name === 'new' ? 'constructor' : name) ??
    (plain.startsWith('[') ? '[]' : '()')
  )
}

function tidy(text) {
  return text
    .replace(/\s+/g, ' ')
    .replace(/[;,]?\s*$/, '')
    .trim()
}

// ---- text ----

/** Yields each character outside of strings with its index; yields a string as one piece. */
function* pieces(text) {
  for (let at = 0; at < text.length; ) {
    const char = text[at]
    let end = at + 1
    if (char === "'" || char === '"' || char === '`') {
      while (end < text.length && text[end] !== char) end += text[end] === '\\' ? 2 : 1
      end++
    } else if (text.startsWith('/*', at)) end = text.indexOf('*/', at) + 2
    else if (text.startsWith('//', at)) end = (text.indexOf('\n', at) + text.length + 1) % (text.length + 1)
    yield text.slice(at, end)
    at = end
  }
}

function withoutComments(text) {
  let out = ''
  for (const piece of pieces(text)) {
    const isComment = piece.startsWith('/*') || piece.startsWith('//')
    out += !isComment ? piece : piece.includes('@internal') ? internalMark : ' '
  }
  return out
}

/** Splits at separators outside of brackets and strings. */
function split(text, separator) {
  const out = ['']
  let depth = 0
  for (const piece of pieces(text)) {
    if ('({['.includes(piece)) depth++
    else if (')}]'.includes(piece)) depth--
    if (piece === separator && depth === 0) out.push('')
    else out[out.length - 1] += piece
  }
  return out
}

/** Returns the statements of a file; a class or an interface ends with its body. */
function statementsOf(text) {
  return split(text, ';').flatMap(function separate(part) {
    const statement = part.trim().replace(/^@internal\s*/, '')
    const mark = statement === part.trim() ? '' : internalMark
    if (!/^(?:export\s+)?(?:declare\s+)?(?:abstract\s+)?(?:class|interface)\b/.test(statement)) {
      return statement === '' ? [] : [statement]
    }
    let depth = 0
    let at = bodyStart(statement)
    for (const piece of pieces(statement.slice(at))) {
      at += piece.length
      if (piece === '{') depth++
      if (piece === '}' && --depth === 0) break
    }
    return [mark + statement.slice(0, at), ...separate(statement.slice(at))]
  })
}
