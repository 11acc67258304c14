// biome-ignore lint/style/noDefaultExport: webpack takes its configuration from there.
export default ({ format }) => ({
  target: 'node',
  mode: 'production',
  // Minifying takes half a minute.
  optimization: { minimize: false },
  ...(format === 'esm'
    ? { experiments: { outputModule: true }, output: { module: true, filename: 'main.mjs' } }
    : { output: { filename: 'main.cjs' } })
})
