import commonjs from '@rollup/plugin-commonjs'
import { nodeResolve } from '@rollup/plugin-node-resolve'

// biome-ignore lint/style/noDefaultExport: rollup takes its configuration from there.
export default {
  external: [/^node:/],
  plugins: [nodeResolve({ preferBuiltins: true }), commonjs()]
}
