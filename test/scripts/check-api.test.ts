import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { findRoot } from '../support/root.ts'

const script = path.join(findRoot(), 'scripts/check-api.mjs')

const entry = `
import { type Options } from './inner/options.ts';
export type { Shown } from './inner/options.ts';
/** Does; a { brace in a comment; and 'a quote. */
export declare class Thing extends Map<string, { a: 1 }> {
    #private;
    /** With an option. */
    constructor(options?: Options);
    run(what: '{' | ";", options?: Options): void;
    get size(): number;
    /** @internal */
    hidden(): Secret;
}
`
const inner = `
export interface Options {
    readonly deep?: Deep | undefined;
    readonly size?: number;
}
export interface Shown {
    /** A name; there is one. */
    readonly name: string;
}
interface Deep {
    readonly level: number;
}
export interface Unreached {
    readonly x: number;
}
`

/** A package with these declarations, whose release 1.0.0 had the ones above. */
class Package {
  readonly root: string

  constructor(t: TestContext) {
    this.root = mkdtempSync(path.join(tmpdir(), 'piecewise-api-'))
    t.after(() => rmSync(this.root, { recursive: true, force: true }))
    this.write('package.json', manifest('1.0.0'))
    this.declare({})
    assert.equal(this.check('--write').status, 0)
    writeFileSync(path.join(this.root, 'test/api/1.0.0.txt'), this.read())
    this.write('package.json', manifest('1.1.0'))
    this.changelog('')
  }

  declare({ index = entry, options = inner }): void {
    this.write('dist/lib/index.d.ts', index)
    this.write('dist/lib/inner/options.d.ts', options)
    mkdirSync(path.join(this.root, 'test/api'), { recursive: true })
    if (!existsSync(path.join(this.root, 'CHANGELOG.md'))) this.changelog('')
  }

  changelog(points: string, before = ''): void {
    this.write('CHANGELOG.md', `# Changelog\n\n## 1.1.0\n\n${points}\n\n## 1.0.0\n\n${before}\n`)
  }

  check(...args: string[]): { status: number | null; text: string } {
    const all = [script, '--root', this.root, ...args]
    const { status, stdout, stderr } = spawnSync(process.execPath, all, { encoding: 'utf8' })
    return { status, text: stdout + stderr }
  }

  read(): string {
    const all = ['-e', `process.stdout.write(fs.readFileSync('test/api/current.txt'))`]
    return spawnSync(process.execPath, all, { cwd: this.root, encoding: 'utf8' }).stdout
  }

  write(name: string, text: string): void {
    const file = path.join(this.root, name)
    mkdirSync(path.dirname(file), { recursive: true })
    writeFileSync(file, text)
  }
}

function manifest(version: string): string {
  const exports = {
    '.': { types: './dist/lib/index.d.ts', default: './x.js' },
    './package.json': './package.json'
  }
  return JSON.stringify({ name: 'thing', version, exports })
}

test('an unchanged API needs no entry', (t) => {
  const { status, text } = new Package(t).check()
  assert.equal(status, 0, text)
})

test('comments, private and internal members, and symbols that no entry exports do not count', (t) => {
  const one = new Package(t)
  one.declare({
    index: entry.replace('Does;', 'Does something else;').replace('hidden(): Secret', 'hidden(): Other'),
    options: inner.replace('x: number', 'x: string').replace('Of it;', 'Of all;')
  })
  const { status, text } = one.check()
  assert.equal(status, 0, text)
})

test('members that move to an unexported abstract class are unchanged', (t) => {
  const one = new Package(t)
  const base = `
import { type Options } from './inner/options.ts';
export declare abstract class Base extends Map<string, { a: 1 }> {
    #private;
    constructor(size: Unseen);
    run(what: '{' | ";", options?: Options): void;
}
interface Unseen {
    readonly y: number;
}
`
  const moved = entry
    .replace('Thing extends Map<string, { a: 1 }>', 'Thing extends Base')
    .replace(/ +run\(.*\n/, '')
    .replace('import', "import { Base } from './base.ts';\nimport")
  one.write('dist/lib/base.d.ts', base)
  one.declare({ index: moved })
  const { status, text } = one.check()
  assert.equal(status, 0, text)
  one.write('dist/lib/base.d.ts', base.replace('options?: Options): void', 'options?: Options): boolean'))
  assert.match(one.check().text, /^ {2}\+ Thing\.run {2}run\(what.*boolean$/m)
  one.declare({ index: `${moved}\nexport { Base } from './base.ts';\n` })
  assert.match(one.check().text, /^ {2}\+ Thing {2}class Thing extends Base$/m)
})

test('members that move to an interface marked @internal are unchanged', (t) => {
  const one = new Package(t)
  const before = `${entry}\nexport interface Ways {\n    readonly ms?: number;\n    readonly port?: number;\n}\n`
  one.declare({ index: before })
  one.check('--write')
  const shared =
    '/** @internal What ways share. */\nexport interface Shared {\n    readonly ms?: number;\n}\n'
  one.write('dist/lib/shared.d.ts', shared)
  const moved = before
    .replace('interface Ways {\n    readonly ms?: number;', 'interface Ways extends Shared {')
    .replace('import', "import { Shared } from './shared.ts';\nimport")
  one.declare({ index: moved })
  assert.doesNotMatch(one.check().text, /current\.txt is not what/)
  one.write('dist/lib/shared.d.ts', shared.replace('ms?: number', 'ms?: string'))
  assert.match(one.check().text, /^ {2}\+ Ways\.ms {2}readonly ms\?: string$/m)
  one.write('dist/lib/shared.d.ts', shared.replace('@internal ', ''))
  assert.match(one.check().text, /^ {2}\+ Ways {2}interface Ways extends Shared$/m)
})

/** Changes, the names that the changelog must have then, and entries that do and do not have them. */
const changes = [
  {
    title: 'a member of a class',
    index: entry.replace('options?: Options): void;', 'options?: Options): boolean;'),
    name: 'Thing.run',
    named: ['- `Thing.run` returns.', '- `thing.run(what)` returns.', '- Now `run` returns.'],
    missed: ['- Thing.run returns.', '- `Thing` returns.', '- `rerun` and `runs`.', '']
  },
  {
    title: 'a member of a type that only another type names',
    options: inner.replace('level: number', 'level: string'),
    name: 'Deep.level',
    named: ['- `level` is a text.'],
    missed: ['- `Options.deep` is a text.']
  },
  {
    title: 'a member whose name another declaration has as well',
    index: entry.replace('get size(): number', 'get size(): bigint'),
    name: 'Thing.size',
    named: ['- `Thing.size` is big.', '- `size` of a `Thing` is big.', '- `thing.size`'],
    missed: ['- `size` is big.', '- `Options.size` is big.', '- `Thing`.\n- `size`.']
  },
  {
    title: 'a new declaration',
    index: `${entry}\nexport declare function make(what: Made): void;\nexport type Made = string;\n`,
    name: 'make',
    named: ['- `make(what)` takes a `Made`.'],
    missed: ['- `Made`', '- make takes a `Made`']
  },
  {
    title: 'a declaration that is gone',
    index: entry.replace("export type { Shown } from './inner/options.ts';", ''),
    name: 'Shown',
    named: ['- No `Shown` any more.'],
    missed: ['- `Shower`', '- No `name` any more.']
  },
  {
    title: 'a constructor',
    index: entry.replace('constructor(options?: Options)', 'constructor(options: Options)'),
    name: 'Thing.constructor',
    named: ['- `new Thing()` needs options.'],
    missed: ['- `Thing` needs options.']
  }
]

for (const { title, name, named, missed, ...declarations } of changes) {
  test(`${title} that differs must be in the changelog`, (t) => {
    const one = new Package(t)
    one.declare(declarations)
    assert.equal(one.check('--write').status, 1)
    for (const points of missed) {
      one.changelog(points, named[0])
      const { status, text } = one.check()
      assert.equal(status, 1, points)
      assert.match(
        text,
        new RegExp(`Under "## 1.1.0" of CHANGELOG.md a point must name[^]*\`${name}\``),
        points
      )
    }
    for (const points of named) {
      one.changelog(points)
      const { status, text } = one.check()
      assert.equal(status, 0, text)
    }
  })
}

test('an outdated report fails, with instructions to update it', (t) => {
  const one = new Package(t)
  one.changelog('- `Thing.run`')
  one.declare({ index: entry.replace('run(what', 'run(which') })
  const { status, text } = one.check()
  assert.equal(status, 1)
  assert.match(text, /^ {2}- Thing\.run {2}run\(what/m)
  assert.match(text, /^ {2}\+ Thing\.run {2}run\(which/m)
  assert.match(text, /npm run build && node scripts\/check-api\.mjs --write/)
  assert.equal(one.check('--write').status, 0)
  assert.equal(one.check().status, 0)
})
