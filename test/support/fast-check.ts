import fc from 'fast-check'

// The same inputs in every run, so that a failure is the fault of the change at hand. FUZZ_SEED=random tries others; another number
// repeats a run that found something.
const { FUZZ_SEED = '20260131' } = process.env
if (FUZZ_SEED !== 'random') fc.configureGlobal({ seed: Number(FUZZ_SEED) })

export { fc }
