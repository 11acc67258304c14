import fc from 'fast-check'

// The same inputs in every run, so that a failure comes from the current change. FUZZ_SEED=random tries other
// inputs; another number repeats a run that failed.
const { FUZZ_SEED = '20260131' } = process.env
if (FUZZ_SEED !== 'random') fc.configureGlobal({ seed: Number(FUZZ_SEED) })

export { fc }
