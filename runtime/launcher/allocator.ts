const megabyte = 1_024 * 1_024;

/**
 * What the C library's allocator reads when a process starts (`mallopt(3)`, glibc; others ignore it). Nothing in a running process
 * can set it, so the launcher gives it to the gateway.
 *
 * By default each new thread takes one of 8 arenas per core, and an arena gives next to nothing back: cells that come and go
 * leave their holes in all of them. 146 recycles under load took 138 MB with 16 arenas and 19 MB with two.
 *
 * A piece of two megabytes and more is mapped by itself, and gone when it is freed. By default the first such piece that is freed raises that bound, up to 32 MB, and what follows
 * comes from the heap and leaves holes there (docs/adr/0074-memory-of-live-agents.md). Who sets this bound sets the one of the heap's free end too: it follows no more.
 */
export const allocatorVariables = {
  MALLOC_ARENA_MAX: "2",
  MALLOC_MMAP_THRESHOLD_: String(2 * megabyte),
  MALLOC_TRIM_THRESHOLD_: String(8 * megabyte),
} as const;
