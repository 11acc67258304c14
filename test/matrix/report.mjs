/** Prints one line of JSON, which scripts/test-matrix.mjs reads, and lets the process end by itself. */
export function report(run) {
  run.then(
    (result) => console.log(JSON.stringify(result)),
    (error) => {
      console.error(error)
      process.exitCode = 1
    }
  )
}
