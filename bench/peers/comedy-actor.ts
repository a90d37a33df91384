/** The other side of `comedy.ts`. */
import { answer } from "../inside/mortal.ts";

export default class Target {
  ask(text: string): string | Promise<string> {
    return answer(text);
  }
}
