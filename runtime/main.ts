#!/usr/bin/env node
/**
 * Entry of the program. The version is checked before anything else is loaded: an older Node fails on the first module that
 * uses what it does not have, with a message that helps nobody.
 */
const nodeMajorMin = 24;

const found = process.versions.node;
if (Number.parseInt(found, 10) < nodeMajorMin) {
  const remedy = `install Node ${nodeMajorMin} or newer from https://nodejs.org, or run it with \`npx node@26\``;
  console.error(`cloister: found Node ${found}, wanted ${nodeMajorMin} or newer; ${remedy}`);
  process.exitCode = 1;
} else {
  // Before the first use of libuv's pool, which has four threads for the whole process unless this says otherwise: a slow flush of
  // the store must not hold up everybody's file work.
  process.env["UV_THREADPOOL_SIZE"] ??= "8";
  const { runCli } = await import("./cli/index.ts");
  await runCli(process);
}
