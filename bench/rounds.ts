import { type Measurement, median } from './benchmark.ts'

/** Parameters of a benchmark of scale. */
export interface ScaleTask {
  /** Empty folder, on fast storage if possible, and removed afterwards. */
  readonly folder: string
  readonly rounds: number
  /** MiB of data; undefined for the benchmark's own default. */
  readonly mebibytes: number | undefined
  /** Folder of the other libraries. */
  readonly cache: string
  readonly rounded: Rounds
}

/** A benchmark that takes minutes; `npm run bench:scale` runs it by name. */
export interface ScaleBenchmark {
  readonly name: string
  run(task: ScaleTask): Promise<void>
}

/** Values that are measured in several rounds; each is printed at once as a line of JSON. */
export class Rounds {
  readonly #benchmark: string
  readonly #values = new Map<string, { unit: string; values: number[] }>()
  readonly #ratios: { name: string; of: string; to: string; limit: string }[] = []

  constructor(benchmark: string) {
    this.#benchmark = benchmark
  }

  /** Adds a value of this round. */
  add(name: string, value: number, unit: string): void {
    console.log(JSON.stringify({ benchmark: this.#benchmark, name, value, unit }))
    const known = this.#values.get(name)
    if (known === undefined) this.#values.set(name, { unit, values: [value] })
    else known.values.push(value)
  }

  /** Adds the ratio of the medians of two values to the result; skipped when one of them was not measured. */
  ratio(name: string, of: string, to: string, limit: string): void {
    this.#ratios.push({ name, of, to, limit })
  }

  /** Returns the medians, and the ratios of medians; the unit of a ratio states its limit. */
  medians(): Measurement[] {
    const found: Measurement[] = []
    for (const [name, { unit, values }] of this.#values) found.push({ name, value: median(values), unit })
    for (const { name, of, to, limit } of this.#ratios) {
      const above = this.#values.get(of)?.values
      const below = this.#values.get(to)?.values
      if (above === undefined || below === undefined) continue
      found.push({ name: `ratio: ${name}`, value: median(above) / median(below), unit: limit })
    }
    return found
  }
}
