/**
 * When a process started, in clock ticks since the machine did, from the text of its `/proc/<pid>/stat`: a number that was given
 * again is told from the process that had it before. Undefined for no such process. Source: proc_pid_stat(5), fields 3 and 22.
 */
export function startTicksIn(stat: string): string | undefined {
  // The command name before them may hold blanks and brackets.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  // A zombie holds nothing any more; its parent has only not asked for it yet.
  return fields[0] === "Z" ? undefined : fields[19];
}
