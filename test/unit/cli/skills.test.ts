/** `cloister skills list`: what it asks, and what it prints. */
import { expect, it } from "vitest";
import { useCliHome } from "./cli-home.ts";
import { helloOk, type Script } from "./scripted-gateway.ts";

const cli = useCliHome();

async function serve(skills: readonly object[]): Promise<void> {
  const script: Script = (request, { answer, refuse }) => {
    if (request.method === "connect") answer(request, helloOk);
    else if (request.method === "skills.status") answer(request, { agentId: "kim", skills });
    else refuse(request, { code: "INVALID_REQUEST", message: "unknown method" });
  };
  await cli.serve(script, { raw: true });
}

const rows = [
  { name: "pdf", location: "/skills/pdf", source: "shared", usable: false, missing: ["the program pdftk"] },
  { name: "tea", location: "skills/tea/SKILL.md", source: "workspace", usable: true, missing: [] },
];

it("lists the skills of the agent, with what is missing", async () => {
  await serve(rows);
  expect(await cli.run("skills", "list", "--agent", "kim")).toBe(0);
  expect(cli.requests.at(-1)).toMatchObject({ method: "skills.status", params: { agentId: "kim" } });
  expect(cli.terminal.outText()).toMatch(/^pdf +no +shared +\/skills\/pdf +the program pdftk$/m);
  expect(cli.terminal.outText()).toMatch(/^tea +yes +workspace +skills\/tea\/SKILL\.md/m);
});

it("prints JSON", async () => {
  await serve(rows);
  expect(await cli.run("skills", "list", "--json")).toBe(0);
  expect(JSON.parse(cli.terminal.outText())).toEqual({ agentId: "kim", skills: rows });
});

it("says that there are none", async () => {
  await serve([]);
  expect(await cli.run("skills", "list")).toBe(0);
  expect(cli.terminal.outText()).toBe("no skills\n");
});
