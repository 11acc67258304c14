import { execFileSync } from 'node:child_process'
import type { Benchmark, Measurement } from './benchmark.ts'
import { median } from './benchmark.ts'

const rounds = 15

/** The import in a new process: its module, time and added memory. */
interface Start {
  readonly ms: number
  readonly bytes: number
}

function start(modules: readonly string[]): Start {
  const script = `
const before = process.memoryUsage.rss()
const start = performance.now()
await Promise.all(${JSON.stringify(modules)}.map((name) => import(name)))
const ms = performance.now() - start
console.log(JSON.stringify({ ms, bytes: process.memoryUsage.rss() - before }))
`
  const args = ['--input-type=module', '-e', script]
  const cwd = new URL('.', import.meta.url)
  return JSON.parse(execFileSync(process.execPath, args, { cwd, encoding: 'utf8' }))
}

/** Time and memory of importing the package in a new process, next to importing its dependencies in another one. */
export const startup: Benchmark = {
  name: 'startup',
  run(): Measurement[] {
    const packages: Start[] = []
    const own: Start[] = []
    for (let round = 0; round < rounds; round++) {
      packages.push(start(['streamx', 'bitfield', 'debug']))
      own.push(start([new URL('../package/index.js', import.meta.url).href]))
    }
    const [packagesMs, ownMs] = [packages, own].map((list) => median(list.map(({ ms }) => ms)))
    const [packagesMb, ownMb] = [packages, own].map((list) => median(list.map(({ bytes }) => bytes / 1e6)))
    return [
      { name: 'import of its three dependencies', value: packagesMs ?? Number.NaN, unit: 'ms' },
      { name: 'import of piecewise', value: ownMs ?? Number.NaN, unit: 'ms' },
      {
        name: 'import of piecewise, over them',
        value: (ownMs ?? Number.NaN) - (packagesMs ?? 0),
        unit: 'ms'
      },
      { name: 'memory of its three dependencies', value: packagesMb ?? Number.NaN, unit: 'MB' },
      { name: 'memory of piecewise', value: ownMb ?? Number.NaN, unit: 'MB' },
      { name: 'memory of piecewise, over them', value: (ownMb ?? Number.NaN) - (packagesMb ?? 0), unit: 'MB' }
    ]
  }
}
