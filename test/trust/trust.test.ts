import { addressCells } from './addresses.ts'
import { effectCells } from './effects.ts'
import { portCells } from './ports.ts'
import { checkTable } from './table.ts'
import { urlCells } from './urls.ts'

addressCells()
portCells()
urlCells()
effectCells()
checkTable()
