// Reads the code blocks of docs/recipes.md, and makes programs of them that run without the Internet.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..')

/** Matches a block: its language and its code. */
const block = /^```(\w+)\n([\s\S]*?)^```/gm

/** Returns the name of the file that other recipes import, which the first line of its block gives. */
export function fileOf(code) {
  return /^\/\/ ([a-z-]+\.ts)\n/.exec(code)?.[1]
}

/** Returns the blocks of docs/recipes.md in their order, each with the title of its section. */
export function readRecipes() {
  const text = readFileSync(path.join(root, 'docs/recipes.md'), 'utf8')
  const [, ...sections] = text.split(/^##+ /m)
  return sections.flatMap((section) => {
    const title = section.slice(0, section.indexOf('\n'))
    return [...section.matchAll(block)].map(([, language, code]) => ({ title, language, code }))
  })
}

/**
 * Returns the only block of a section in a language.
 * @throws Error if the section has none or several, so that a renamed recipe does not lose its test.
 */
export function recipe(title, language) {
  const found = readRecipes().filter((one) => one.title === title && one.language === language)
  if (found.length !== 1)
    throw new Error(`docs/recipes.md has ${found.length} blocks of ${language} under "${title}"`)
  return found[0].code
}

/** Returns the name of the program that {@link writeRecipes} makes of the section. */
export function programOf(title) {
  return `${title.toLowerCase().replaceAll(/\W+/g, '-')}.js`
}

/**
 * Writes each `ts` block into a folder as a JavaScript program. There `piecewise` is the package that test/matrix/run-recipe.mjs
 * is given, on loopback.
 */
export function writeRecipes(folder) {
  const sources = path.join(folder, 'sources')
  const names = []
  mkdirSync(sources, { recursive: true })
  for (const { title, language, code } of readRecipes()) {
    if (language !== 'ts') continue
    const name = fileOf(code) ?? programOf(title).replace(/\.js$/, '.ts')
    // Next.js resolves `@` to the root of the project.
    writeFileSync(path.join(sources, name), code.replaceAll(/from '@\/([\w-]+)'/g, "from './$1.js'"))
    names.push(`sources/${name}`)
  }
  writeFileSync(path.join(folder, 'package.json'), '{"private":true,"type":"module"}')
  const compilerOptions = {
    target: 'es2022',
    module: 'nodenext',
    noCheck: true,
    noResolve: true,
    types: [],
    rootDir: 'sources',
    outDir: '.'
  }
  writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: names }))
  const tsc = path.join(root, 'node_modules/typescript/bin/tsc')
  const { status, stdout, error } = spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`docs/recipes.md cannot be compiled: ${error ?? stdout}`)
  const stub = path.join(folder, 'node_modules/piecewise')
  mkdirSync(stub, { recursive: true })
  const exports = { '.': './index.js', './server': './server.js' }
  writeFileSync(path.join(stub, 'package.json'), JSON.stringify({ type: 'module', exports }))
  writeFileSync(path.join(stub, 'index.js'), 'export const { Client } = globalThis.recipe\n')
  writeFileSync(path.join(stub, 'server.js'), 'export const { createServer } = globalThis.recipe\n')
}
