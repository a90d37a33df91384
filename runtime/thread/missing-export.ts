/** As Node's linker says that a module (1) has no export of a name (2). */
export const missingExport = /requested module '([^']+)' does not provide an export named '([^']+)'/;
