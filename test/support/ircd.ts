/** A real IRC server (Debian's ngircd) for tests, and people on it. */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import os from "node:os";
import path from "node:path";
import { findFreePort } from "./free-port.ts";
import { makeWatchers } from "./watchers.ts";

export interface Ircd {
  readonly port: number;
  /** With a certificate: where the server speaks TLS. */
  readonly tlsPort: number | undefined;
  /** Somebody who is on the server. */
  person(nick: string): Promise<IrcPerson>;
  /** Ends the connection of a nick, as an operator of the server can. */
  kill(nick: string): Promise<void>;
  close(): Promise<void>;
}

export interface IrcPerson {
  /** Lines that the server has sent, in order. */
  readonly lines: readonly string[];
  write(line: string): void;
  /** Resolves with the first line, of those before as well, that matches. */
  sees(pattern: RegExp): Promise<string>;
  close(): void;
}

export interface IrcdOptions {
  /** Of the server. */
  readonly password?: string;
  /** Files of the certificate and its key: the server speaks TLS as well, on a port of its own. */
  readonly certificate?: { readonly certFile: string; readonly keyFile: string };
}

const program = "ngircd";

/** Fails where the server is not installed: these tests show nothing without it. */
export async function openIrcd({ password, certificate }: IrcdOptions = {}): Promise<Ircd> {
  if (spawnSync(program, ["--version"]).error !== undefined)
    throw new Error("these tests need a real IRC server: apt-get install ngircd");
  const folder = mkdtempSync(path.join(os.tmpdir(), "cloister-ircd-"));
  for (let attempt = 1; ; attempt++) {
    const port = await findFreePort();
    const tlsPort = certificate === undefined ? undefined : await findFreePort();
    const file = path.join(folder, "ngircd.conf");
    const own = password === undefined ? "" : `Password = ${password}\n`;
    const tls =
      certificate === undefined
        ? ""
        : `[SSL]\nCertFile = ${certificate.certFile}\nKeyFile = ${certificate.keyFile}\nPorts = ${tlsPort}\n`;
    // No penalties: they would only make the tests slow.
    writeFileSync(
      file,
      `[Global]\nName = irc.test\nInfo = test\nAdminEMail = a@irc.test\nListen = 127.0.0.1\nPorts = ${port}\n${own}[Limits]\nMaxConnectionsIP = 0\nMaxPenaltyTime = 0\nMaxNickLength = 20\n[Options]\nDNS = no\nIdent = no\nPAM = no\n${tls}[Operator]\nName = op\nPassword = op\n`,
    );
    const server = spawn(program, ["-n", "-f", file], { stdio: ["ignore", "pipe", "pipe"] });
    const ended = new Promise<void>((resolve) => server.once("close", () => resolve()));
    let said = "";
    const ready = new Promise<boolean>((resolve) => {
      const hear = (text: Buffer): void => {
        said += text.toString();
        if (/ ready\./.test(said)) resolve(true);
      };
      server.stdout.on("data", hear);
      server.stderr.on("data", hear);
      server.once("close", () => resolve(false));
    });
    const isListening = (await ready) && !/Can't bind/.test(said);
    if (isListening) return makeIrcd({ port, tlsPort }, password, server.kill.bind(server), ended, folder);
    server.kill();
    await ended;
    // Somebody took the port meanwhile.
    if (attempt === 10) throw new Error(`ngircd does not start: ${said}`);
  }
}

function makeIrcd(
  { port, tlsPort }: Pick<Ircd, "port" | "tlsPort">,
  password: string | undefined,
  kill: () => void,
  ended: Promise<void>,
  folder: string,
): Ircd {
  const people: IrcPerson[] = [];
  const person = async (nick: string): Promise<IrcPerson> => {
    const found = makePerson(connect(port, "127.0.0.1"));
    people.push(found);
    if (password !== undefined) found.write(`PASS ${password}`);
    found.write(`NICK ${nick}`);
    found.write(`USER ${nick} 0 * :${nick}`);
    await found.sees(/ 00[1] /);
    return found;
  };
  return {
    port,
    tlsPort,
    person,
    async kill(nick) {
      const operator = await person("oper");
      operator.write("OPER op op");
      await operator.sees(/ 381 /);
      operator.write(`KILL ${nick} :lost`);
      operator.write("PING killed");
      await operator.sees(/PONG.*killed/);
      operator.close();
    },
    async close() {
      for (const one of people) one.close();
      kill();
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function makePerson(socket: Socket): IrcPerson {
  const lines: string[] = [];
  const { until, changed } = makeWatchers();
  let rest = "";
  socket.on("error", () => undefined);
  socket.on("data", (data) => {
    const parts = (rest + data.toString("utf8")).split("\r\n");
    rest = parts.pop() ?? "";
    for (const line of parts) {
      lines.push(line);
      if (line.startsWith("PING")) socket.write(`PONG${line.slice(4)}\r\n`);
    }
    changed();
  });
  return {
    lines,
    write: (line) => void socket.write(`${line}\r\n`),
    async sees(pattern) {
      let found: string | undefined;
      await until(() => (found = lines.find((line) => pattern.test(line))) !== undefined);
      return found ?? "";
    },
    close: () => void socket.destroy(),
  };
}
