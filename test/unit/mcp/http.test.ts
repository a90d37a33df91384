/** How long a message of a server may be over HTTP: an answer as a whole, a stream event by event. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { makeMessageFetch } from "../../../runtime/mcp/http.ts";

const bytesMax = 100;

async function fetchOf(type: string, body: string): Promise<string> {
  const server = createServer((_, response) => response.writeHead(200, { "content-type": type }).end(body));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const response = await makeMessageFetch(bytesMax)(url);
  expect(response.url).toBe(url);
  return response.text();
}

const tooLong = { message: `the server sent a message of more than ${bytesMax} bytes` };

test("an answer has as many bytes as the bound says, and not one more", async () => {
  expect(await fetchOf("application/json", "x".repeat(bytesMax))).toHaveLength(bytesMax);
  await expect(fetchOf("application/json", "x".repeat(bytesMax + 1))).rejects.toMatchObject(tooLong);
  // Empty lines end nothing in what is no stream.
  await expect(fetchOf("application/json", "\n".repeat(bytesMax + 1))).rejects.toMatchObject(tooLong);
});

test.each([
  ["\n", "line feeds"],
  ["\r\n", "carriage returns and line feeds"],
])("a stream is counted event by event, with lines that end in %j", async (end) => {
  const event = `event: message${end}data: ${"x".repeat(50)}${end}${end}`;
  expect(await fetchOf("text/event-stream; charset=utf-8", event.repeat(20))).toHaveLength(20 * event.length);
  // Several lines are one event as long as no empty one is between them.
  const long = `data: ${"x".repeat(40)}${end}`.repeat(3);
  await expect(fetchOf("text/event-stream", `${event}${long}${end}`)).rejects.toMatchObject(tooLong);
});
