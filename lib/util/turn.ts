let number = 0
let isArmed = false

function next(): void {
  isArmed = false
  number++
}

/** Returns a number that differs in each turn of the event loop. */
export function currentTurn(): number {
  if (!isArmed) {
    isArmed = true
    setImmediate(next)
  }
  return number
}
