/** What crosses between the tools' thread and the kernel's. The thread decides no right: what reaches it has been judged. */

export interface HostCall {
  readonly tool: string;
  /** The parameters as the cell wrote them (JSON); nobody has read them before. */
  readonly params: string;
  /** The folder that file tools see; made when it is missing. */
  readonly root: string;
}

/** How `web_fetch` works (config: `tools.web.fetch`). */
export interface WebSettings {
  /** Characters of one result. */
  readonly charsMax: number;
  /** Bytes of one page, unpacked. */
  readonly bytesMax: number;
  /** Of one call, redirects included. */
  readonly timeoutMs: number;
  readonly redirectsMax: number;
  /** How long a page is given from memory; 0: never. */
  readonly cacheMs: number;
  readonly userAgent: string;
  /** `host` or `host:port`, as URLs have them: their addresses are not judged. */
  readonly allowedHosts: readonly string[];
}

export interface WebCall {
  readonly agentId: string;
  readonly params: string;
  readonly settings: WebSettings;
}

export interface ToolsForKernel {
  /** The result object of the call; refusals and failures are results with `status` and `code`. Never rejects by itself. */
  run(call: HostCall): Promise<object>;
  /** `web_fetch`; likewise. */
  fetchPage(call: WebCall): Promise<object>;
}
