import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

interface Call {
  readonly id: number
  readonly name: string
  readonly argument: unknown
}

interface Answer {
  readonly id: number
  readonly result?: unknown
  readonly error?: string
}

/** Another process that runs a script of this folder and answers calls; it ends with this process. */
export class Helper {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>()
  readonly #exited: Promise<void>
  #lastId = 0

  /** Starts `<name>.js`; `flags` are for Node. */
  constructor(name: string, flags: readonly string[] = []) {
    const script = fileURLToPath(new URL(`./${name}.js`, import.meta.url))
    this.#child = fork(script, { execArgv: [...flags], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.#child.on('message', ({ id, result, error }: Answer) => {
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (error === undefined) waiting?.resolve(result)
      else waiting?.reject(new Error(`${name}: ${error}`))
    })
    this.#exited = new Promise((resolve) => {
      this.#child.on('exit', (code, signal) => {
        for (const { reject } of this.#waiting.values()) reject(new Error(`${name} ended: ${code ?? signal}`))
        this.#waiting.clear()
        resolve()
      })
    })
  }

  /** The id of the process. */
  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Calls a function of the script; does nothing if the script does not have it. */
  call<T>(name: string, argument?: unknown): Promise<T> {
    const id = ++this.#lastId
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, { resolve: (result) => resolve(result as T), reject })
      const call: Call = { id, name, argument }
      this.#child.send(call, (error) => error && reject(error))
    })
  }

  /** Ends the process. */
  async stop(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exited
  }
}

/** Answers the calls of the {@link Helper} that started this process. */
export function answerCalls(functions: Readonly<Record<string, (argument: never) => unknown>>): void {
  process.on('disconnect', () => process.exit(0))
  process.on('message', async ({ id, name, argument }: Call) => {
    const answer = (fields: Omit<Answer, 'id'>): boolean => process.send?.({ id, ...fields }) ?? false
    try {
      answer({ result: await functions[name]?.(argument as never) })
    } catch (thrown) {
      answer({ error: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown) })
    }
  })
}
