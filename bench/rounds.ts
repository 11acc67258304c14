import { type Measurement, median } from './benchmark.ts'

/** What a benchmark of scale is told. */
export interface ScaleTask {
  /** Empty, on fast storage if there is any, and removed afterwards. */
  readonly folder: string
  readonly rounds: number
  /** MiB of the data, or undefined for what the benchmark itself thinks right. */
  readonly mebibytes: number | undefined
  /** Folder of the rivals. */
  readonly cache: string
  readonly rounded: Rounds
}

/** A benchmark that takes minutes, and that `npm run bench:scale` can run by name. */
export interface ScaleBenchmark {
  readonly name: string
  run(task: ScaleTask): Promise<void>
}

/** Values that are measured in each of several rounds; each is printed as one line of JSON at once. */
export class Rounds {
  readonly #benchmark: string
  readonly #values = new Map<string, { unit: string; values: number[] }>()
  readonly #ratios: { name: string; of: string; to: string; limit: string }[] = []

  constructor(benchmark: string) {
    this.#benchmark = benchmark
  }

  /** Takes a value of this round. */
  add(name: string, value: number, unit: string): void {
    console.log(JSON.stringify({ benchmark: this.#benchmark, name, value, unit }))
    const known = this.#values.get(name)
    if (known === undefined) this.#values.set(name, { unit, values: [value] })
    else known.values.push(value)
  }

  /** Wants the ratio of the medians of two values, which is not shown when one of them was not measured. */
  ratio(name: string, of: string, to: string, limit: string): void {
    this.#ratios.push({ name, of, to, limit })
  }

  /** The medians, and the ratios of medians; a ratio's unit says what it should be. */
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
