// Test programs in processes of their own that answer questions: a line of JSON each way.
import { type Running, type StartOptions, start, within } from './process.ts'

/** A program that answers questions. */
export interface Asked extends Running {
  /** Resolves to its answer. Rejects when it reports an error, ends, or takes too long. */
  ask(question: object, timeoutMs?: number): Promise<unknown>
}

interface Answer {
  readonly number: number
  readonly answer?: unknown
  readonly error?: string
}

/** Starts a program that reads `{"number":…, …question}` and prints `{"number":…,"answer":…}` or `{"number":…,"error":…}`, in any order. */
export function startAsked(name: string, command: readonly string[], options: StartOptions = {}): Asked {
  const waiting = new Map<number, (answer: Answer) => void>()
  let asked = 0
  const running = start(name, command, {
    ...options,
    listens: true,
    onLine: (line) => {
      if (!line.startsWith('{"number":')) return
      const answer = JSON.parse(line) as Answer
      waiting.get(answer.number)?.(answer)
      waiting.delete(answer.number)
    }
  })
  const ask = async (question: object, timeoutMs = 60_000): Promise<unknown> => {
    const number = ++asked
    const answered = new Promise<Answer>((resolve, reject) => {
      waiting.set(number, resolve)
      running.exited.then((code) => reject(new Error(`it ended with ${code}`)))
    })
    running.tell(JSON.stringify({ number, ...question }))
    const what = `asking ${name} ${JSON.stringify(question).slice(0, 100)}`
    const { answer, error } = await within(what, answered, { timeoutMs, programs: [running] })
    if (error !== undefined) throw new Error(`${what}: ${error}\n${running.log().slice(-8000)}`)
    return answer
  }
  return { ...running, ask }
}
