/** What crosses between the tools' thread and the kernel's. The thread decides no right: what reaches it has been judged. */

export interface HostCall {
  readonly tool: string;
  /** The parameters as the cell wrote them (JSON); nobody has read them before. */
  readonly params: string;
  /** The folder that file tools see; made when it is missing. */
  readonly root: string;
}

export interface ToolsForKernel {
  /** The result object of the call; refusals and failures are results with `status` and `code`. Never rejects by itself. */
  run(call: HostCall): Promise<object>;
}
