/** What Discord takes in the body of a request. Source: Discord's developer documentation. */

export type Json = Readonly<Record<string, unknown>>;

export const isId = (value: unknown): boolean => typeof value === "string" && /^\d{15,20}$/.test(value);
export const textOf = (value: unknown): string => (typeof value === "string" ? value : "");
const isText = (value: unknown): boolean => typeof value === "string";
const isBoolean = (value: unknown): boolean => typeof value === "boolean";
const isMap = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);

const hasOnly = (value: Json, ...keys: readonly string[]): boolean =>
  Object.keys(value).every((key) => keys.includes(key));
const isButton = (value: unknown): boolean =>
  isMap(value) &&
  hasOnly(value, "type", "style", "label", "custom_id") &&
  value["type"] === 2 &&
  [1, 2, 3, 4].includes(Number(value["style"])) &&
  /^.{1,80}$/s.test(textOf(value["label"])) &&
  /^.{1,100}$/s.test(textOf(value["custom_id"]));
const isRow = (value: unknown): boolean => {
  if (!isMap(value) || !hasOnly(value, "type", "components") || value["type"] !== 1) return false;
  const buttons: unknown = value["components"];
  if (!Array.isArray(buttons) || buttons.length === 0 || buttons.length > 5 || !buttons.every(isButton)) return false;
  return new Set(buttons.map((button: Json) => button["custom_id"])).size === buttons.length;
};

export const isCommand = (value: unknown): boolean =>
  isMap(value) &&
  hasOnly(value, "type", "name", "description", "options", "contexts", "integration_types") &&
  value["type"] === 1 &&
  /^[a-z0-9_-]{1,32}$/.test(textOf(value["name"])) &&
  /^.{1,100}$/s.test(textOf(value["description"])) &&
  Array.isArray(value["options"]) &&
  value["options"].every(
    (option) =>
      isMap(option) &&
      hasOnly(option, "type", "name", "description", "required") &&
      option["type"] === 3 &&
      /^[a-z]{1,32}$/.test(textOf(option["name"])),
  );

/** The fields that a body may have. */
export const bodies: Readonly<Record<string, Readonly<Record<string, (value: unknown) => boolean>>>> = {
  message: {
    content: isText,
    nonce: (value) => typeof value === "string" && value.length <= 25,
    enforce_nonce: isBoolean,
    allowed_mentions: (value) => isMap(value) && Array.isArray(value["parse"]),
    message_reference: (value) => isMap(value) && isId(value["message_id"]) && isBoolean(value["fail_if_not_exists"]),
    components: (value) => Array.isArray(value) && value.length > 0 && value.length <= 5 && value.every(isRow),
  },
  reply: {
    type: (value) => value === 4 || value === 6,
    data: (value) =>
      isMap(value) &&
      hasOnly(value, "content", "flags", "allowed_mentions") &&
      /^.{1,2000}$/s.test(textOf(value["content"])),
  },
  edit: {
    content: isText,
    components: (value) => Array.isArray(value) && value.length <= 5 && value.every(isRow),
    allowed_mentions: (value) => isMap(value) && Array.isArray(value["parse"]),
  },
  direct: { recipient_id: isId },
  none: {},
};
