// Programs of docs/recipes.md, run in the test's own process against a seeder on loopback.
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { TestContext } from 'node:test'
import { pathToFileURL } from 'node:url'
import { Client } from '../../lib/index.ts'
import { createServer } from '../../lib/server.ts'

function findRoot(): string {
  let folder = import.meta.dirname
  while (!existsSync(path.join(folder, 'package.json'))) folder = path.dirname(folder)
  return folder
}

const root = findRoot()

interface Recipes {
  recipe(title: string, language: string): string
  programOf(title: string): string
  writeRecipes(folder: string): void
}

interface Runner {
  seedMovie(
    piecewise: { readonly Client: typeof Client },
    folder: string,
    files: Readonly<Record<string, Uint8Array>>
  ): Promise<{ readonly seeder: Client; readonly work: string; readonly peer: string }>
  runRecipe(program: string, settings: object): Promise<RunningRecipe>
}

// Programs of JavaScript, because the rows of test:matrix use them without this build.
const recipes: Recipes = await import(pathToFileURL(path.join(root, 'scripts/recipes.mjs')).href)
const runner: Runner = await import(pathToFileURL(path.join(root, 'test/matrix/run-recipe.mjs')).href)

/** A recipe whose program has run to its end, or listens. */
export interface RunningRecipe {
  readonly clients: readonly (Client & { readonly closed?: boolean })[]
  /** Returns the port used instead of one that the recipe names. */
  portOf(port: number): number | undefined
  close(): Promise<void>
}

/** Returns the code of a recipe: the only block of a section in a language. */
export const recipeCode: Recipes['recipe'] = recipes.recipe

/** Runs the program of a recipe in this process; its clients know the peer. */
export function runRecipe(program: string, work: string, peer: string): Promise<RunningRecipe> {
  return runner.runRecipe(program, { Client, createServer, work, peer })
}

/** A seeded torrent `movie`, and the recipes that use it. */
export interface RecipeScene {
  readonly seeder: Client
  /** The working folder, with `movie.torrent`. */
  readonly work: string
  readonly peer: string
  /** Registers cleanup before the folder is removed; the last registered runs first. */
  after(end: () => unknown): void
  /** Adds a package that recipes import. */
  addPackage(name: string, code: string): void
  /** Returns the path of a recipe's program, for a process of its own. */
  programOf(title: string): string
  /** Runs a recipe. It is closed after the test. */
  run(title: string): Promise<RunningRecipe>
}

/** Seeds files as the torrent `movie` until the end of the test. */
export async function openRecipes(
  t: TestContext,
  files: Readonly<Record<string, Uint8Array>>
): Promise<RecipeScene> {
  const folder = mkdtempSync(path.join(tmpdir(), 'piecewise-recipe-'))
  const cwd = process.cwd()
  const ends: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 })]
  t.after(async () => {
    process.chdir(cwd)
    for (const end of ends.reverse()) await end()
  })
  const programs = path.join(folder, 'programs')
  recipes.writeRecipes(programs)
  const { seeder, work, peer } = await runner.seedMovie({ Client }, folder, files)
  ends.push(() => seeder.close())
  const programOf = (title: string): string => path.join(programs, recipes.programOf(title))
  return {
    seeder,
    work,
    peer,
    programOf,
    after: (end) => void ends.push(end),
    addPackage(name, code) {
      const place = path.join(programs, 'node_modules', name)
      mkdirSync(place, { recursive: true })
      writeFileSync(path.join(place, 'package.json'), '{"type":"module","exports":"./index.js"}')
      writeFileSync(path.join(place, 'index.js'), code)
    },
    async run(title) {
      const running = await runRecipe(programOf(title), work, peer)
      ends.push(() => running.close())
      return running
    }
  }
}
