import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { findRoot } from '../support/root.ts'
import type { Finding } from './finding.ts'
import type { Target } from './target.ts'

/** Totals over all runs of a target. */
export interface Counts {
  readonly executions: number
  /** Seconds of running, without the reports. */
  readonly seconds: number
  readonly outcomes: number
  readonly findings: number
}

const none: Counts = { executions: 0, seconds: 0, outcomes: 0, findings: 0 }

/** The project folder. */
export const root: string = findRoot()

/** Returns the committed files that are first inputs of a target. */
export function committedCorpus({ corpus }: Target): Uint8Array[] {
  return corpus.flatMap((name) => {
    const folder = path.join(root, 'test/fuzz/corpus', name)
    return readdirSync(folder)
      .sort()
      .map((file) => new Uint8Array(readFileSync(path.join(folder, file))))
  })
}

/** Stores the results of runs for later ones, in a folder that git ignores. */
export class Store {
  readonly #folder: string

  constructor(folder: string = path.join(root, '.fuzz')) {
    this.#folder = folder
  }

  /** Returns the counts of a target. */
  counts(name: string): Counts {
    const file = path.join(this.#folder, name, 'counts.json')
    return existsSync(file) ? { ...none, ...(JSON.parse(readFileSync(file, 'utf8')) as Counts) } : none
  }

  /** Replaces the counts of a target. */
  saveCounts(name: string, counts: Counts): void {
    writeFileSync(path.join(this.#make(name), 'counts.json'), `${JSON.stringify(counts)}\n`)
  }

  /** Returns the inputs that earlier runs kept. */
  corpus(name: string): Uint8Array[] {
    const file = path.join(this.#folder, name, 'corpus')
    if (!existsSync(file)) return []
    const bytes = readFileSync(file)
    const inputs: Uint8Array[] = []
    for (let at = 0; at + 4 <= bytes.length; ) {
      const length = bytes.readUInt32BE(at)
      inputs.push(new Uint8Array(bytes.subarray(at + 4, at + 4 + length)))
      at += 4 + length
    }
    return inputs
  }

  /** Replaces the inputs of a target. */
  saveCorpus(name: string, inputs: readonly Uint8Array[]): void {
    const parts = inputs.flatMap((input) => {
      const head = Buffer.alloc(4)
      head.writeUInt32BE(input.length)
      return [head, input]
    })
    writeFileSync(path.join(this.#make(name), 'corpus'), Buffer.concat(parts))
  }

  /** Writes an input with a finding, and how to run it again. Returns its path. */
  saveFinding(name: string, input: Uint8Array, finding: Finding): string {
    const id = createHash('sha256').update(finding.key).digest('hex').slice(0, 8)
    const file = path.join(this.#make(name), `${finding.kind}-${id}.bin`)
    writeFileSync(file, input)
    const cause = finding.cause instanceof Error ? `\n${finding.cause.stack}` : ''
    writeFileSync(`${file}.txt`, `${finding.message}\n${reproduce(name, file)}\n${cause}\n`)
    return file
  }

  #make(name: string): string {
    const folder = path.join(this.#folder, name)
    mkdirSync(folder, { recursive: true })
    return folder
  }
}

/** Returns the command that runs an input again. */
export function reproduce(name: string, file: string): string {
  return `npm run fuzz -- --replay ${path.relative(process.cwd(), file)} ${name}`
}
