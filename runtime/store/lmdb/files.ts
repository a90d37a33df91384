/** The file of LMDB that holds the data; beside it stands `lockFile`, which means nothing when nobody has it open. */
export const dataFile = "data.mdb";
export const lockFile = "lock.mdb";
