import { execFileSync } from 'node:child_process'
import type { Benchmark, Measurement } from './benchmark.ts'
import { median } from './benchmark.ts'

const rounds = 9

const script = `
const start = performance.now()
await Promise.all([import('streamx'), import('bitfield'), import('debug')])
const between = performance.now()
await import(${JSON.stringify(new URL('../lib/index.js', import.meta.url).href)})
console.log(JSON.stringify([between - start, performance.now() - between]))
`

/** The time that importing the package takes in a new process, after that of the packages that it depends on. */
export const startup: Benchmark = {
  name: 'startup',
  run(): Measurement[] {
    const packages: number[] = []
    const own: number[] = []
    for (let round = 0; round < rounds; round++) {
      const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
        cwd: new URL('.', import.meta.url),
        encoding: 'utf8'
      })
      const [packagesMs = 0, ownMs = 0]: number[] = JSON.parse(output)
      packages.push(packagesMs)
      own.push(ownMs)
    }
    return [
      { name: 'import of its three dependencies', value: median(packages), unit: 'ms' },
      { name: 'import of piecewise after that', value: median(own), unit: 'ms' }
    ]
  }
}
