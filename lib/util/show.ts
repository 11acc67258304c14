import { inspect } from 'node:util'
import { redactText } from './redact.ts'

const mostLetters = 80

/**
 * Formats any value as one short line for a message, without secrets of URLs. Never throws, even if
 * inspecting the value does.
 */
export function show(value: unknown): string {
  try {
    const whole = inspect(value, {
      depth: 0,
      breakLength: Number.POSITIVE_INFINITY,
      maxArrayLength: 3,
      maxStringLength: mostLetters,
      customInspect: false
    })
    const text = redactText(whole.replace(/\s+/g, ' '))
    return text.length <= mostLetters ? text : `${text.slice(0, mostLetters - 1)}…`
  } catch {
    return `a value of type ${typeof value}`
  }
}
