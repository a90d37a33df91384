/** Posts to a webhook account of a running program. */
import http from "node:http";

export interface Posted {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into it
  readonly body: any;
}

const agent = new http.Agent({ keepAlive: true, maxSockets: 100 });

export function post(url: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Posted> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const request = http.request(
      url,
      {
        method: "POST",
        agent,
        headers: { "content-type": "application/json", "content-length": Buffer.byteLength(text), ...headers },
      },
      (response) => {
        let answer = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => (answer += chunk));
        // The other side went away in the middle of its answer.
        response.on("error", reject);
        response.on("end", () => {
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: answer === "" ? undefined : JSON.parse(answer),
          });
        });
      },
    );
    request.on("error", reject);
    request.end(text);
  });
}
