export { createServer } from './server/create-server.ts'
export type { ServerOptions } from './server/server-options.ts'
