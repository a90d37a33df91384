/** Opens an address in the person's browser, where there is one. */
import { spawn } from "node:child_process";

const openers: Readonly<Record<string, readonly [program: string, ...args: string[]]>> = {
  darwin: ["open"],
  win32: ["rundll32", "url.dll,FileProtocolHandler"],
};

/** No shell is between, so that nothing in the link is read as a command. */
export function openBrowser(link: string, platform: string, onFault: () => void): void {
  const [program, ...args] = openers[platform] ?? ["xdg-open"];
  const child = spawn(program, [...args, link], { stdio: "ignore", detached: true });
  child.on("error", onFault);
  child.unref();
}
