/**
 * Between a client of the Model Context Protocol that speaks over standard input and output and a gateway that answers over HTTP. It decides nothing: each
 * request is one request to the gateway, with the client's token, and what the gateway answers goes back.
 *
 *   request ──► POST /mcp ──► its answer, with what is told before it
 *     └── taken back, or the client is gone ──► the connection is closed, and with it ends the call
 */
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { ErrorCode, isJSONRPCRequest, type JSONRPCMessage, type RequestId } from "@modelcontextprotocol/sdk/types.js";
import { limits } from "../kernel/limits.ts";

export interface McpBridgeOptions {
  /** Of the client; not started. */
  readonly client: Transport;
  /** `/mcp` of the gateway. */
  readonly url: URL;
  readonly token: string | undefined;
  /** What went wrong between the two, for people. */
  readonly report: (message: string) => void;
}

export interface McpBridge {
  /** The client is gone: ends what is asked for. Resolves when that is done. */
  close(): Promise<void>;
}

export async function openMcpBridge({ client, url, token, report }: McpBridgeOptions): Promise<McpBridge> {
  const open = new Map<RequestId, Transport>();
  const requestInit = token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } };

  /** Nobody hears what fails on the way to a client that has gone. */
  const tell = (message: JSONRPCMessage): void => void client.send(message).catch(() => undefined);

  const end = async (id: RequestId): Promise<void> => {
    const transport = open.get(id);
    open.delete(id);
    await transport?.close();
  };

  const refuse = (id: RequestId, message: string): void => {
    report(message);
    tell({ jsonrpc: "2.0", id, error: { code: ErrorCode.InternalError, message } });
  };

  const ask = async (request: JSONRPCMessage & { readonly id: RequestId }): Promise<void> => {
    const { id } = request;
    // An answer under this id would be taken for that of the first, which goes on.
    if (open.has(id)) {
      report(`the client gave a request the id ${JSON.stringify(id)} of one that is in hand; it is left out`);
      return;
    }
    if (open.size >= limits.mcpCallsOfAgentMax) {
      refuse(id, `${open.size} requests are in hand; the bound is reached: wait for one of them`);
      return;
    }
    const transport = new StreamableHTTPClientTransport(url, { requestInit });
    open.set(id, transport);
    const isWanted = (): boolean => open.get(id) === transport;
    const fail = (error: unknown): void => {
      if (!isWanted()) return;
      void end(id);
      refuse(id, `the gateway at ${url.host} did not answer: ${messageOf(error)}`);
    };
    Object.assign(transport, {
      onmessage: (message: JSONRPCMessage) => {
        if (!isWanted()) return;
        tell(message);
        if ("id" in message && !("method" in message)) void end(id);
      },
      // A stream that ended before the answer; one that is closed here is wanted no more.
      onerror: fail,
    });
    try {
      await transport.start();
      await transport.send(request);
    } catch (error) {
      fail(error);
    }
  };

  Object.assign(client, {
    onmessage: (message: JSONRPCMessage) => {
      if (isJSONRPCRequest(message)) void ask(message);
      else if ("method" in message && message.method === "notifications/cancelled") {
        const id = message.params?.["requestId"];
        if (typeof id === "string" || typeof id === "number") void end(id);
      }
    },
    onerror: (error: Error) => report(`the client sent what is no message: ${error.message}`),
  });
  await client.start();
  return {
    async close() {
      await Promise.all([...open.keys()].map(end));
      await client.close();
    },
  };
}

/** A gateway that refuses says why in its answer, which the error of the transport quotes. */
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error)).slice(0, 1_000);
