/** Not for people: the command that the process is started with that reads the store. */
export const storeReportCommand = "store-report";
