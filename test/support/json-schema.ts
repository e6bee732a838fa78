/** The part of JSON Schema that docs/*.schema.json use; anything else in a schema is an error. */
export interface Schema {
  readonly [keyword: string]: unknown;
}

const KNOWN = new Set([
  "$schema",
  "$defs",
  "$ref",
  "title",
  "description",
  "type",
  "properties",
  "required",
  "items",
  "enum",
  "const",
  "anyOf",
  "minimum",
  "maximum",
  "format",
]);

const DATE_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** Where a value departs from the schema. Stricter than JSON Schema: a key that the schema has not is a flaw too. */
export function flawsOf(value: unknown, schema: Schema, root: Schema = schema, path = "$"): readonly string[] {
  const unknown = Object.keys(schema).filter((keyword) => !KNOWN.has(keyword));
  if (unknown.length > 0) throw new Error(`the schema of ${path} uses ${unknown.join(", ")}`);
  const { $ref, anyOf } = schema;
  if (typeof $ref === "string") return flawsOf(value, resolved($ref, root), root, path);
  if (Array.isArray(anyOf)) {
    const flaws = anyOf.map((each: Schema) => flawsOf(value, each, root, path));
    return flaws.some(({ length }) => length === 0) ? [] : flaws.flat();
  }
  return [...plainFlaws(value, schema, path), ...innerFlaws(value, schema, root, path)];
}

function resolved(reference: string, root: Schema): Schema {
  const name = /^#\/\$defs\/(\w+)$/.exec(reference)?.[1] ?? "";
  const found = (root["$defs"] as Readonly<Record<string, Schema>>)[name];
  if (found === undefined) throw new Error(`the schema has no ${reference}`);
  return found;
}

function plainFlaws(value: unknown, schema: Schema, path: string): readonly string[] {
  const types = [schema["type"] ?? []].flat();
  const literals = "const" in schema ? [schema["const"]] : schema["enum"];
  const flaws = [
    types.length > 0 && !types.some((type) => isOfType(value, type)) && `is no ${types.join("|")}`,
    Array.isArray(literals) && !literals.includes(value) && `is ${JSON.stringify(value)}`,
    typeof value === "number" && value < Number(schema["minimum"] ?? value) && "is too small",
    typeof value === "number" && value > Number(schema["maximum"] ?? value) && "is too large",
    schema["format"] === "date-time" && typeof value === "string" && !DATE_TIME.test(value) && "is no date-time",
  ];
  return flaws.filter((flaw) => flaw !== false).map((flaw) => `${path} ${flaw}`);
}

function isOfType(value: unknown, type: unknown): boolean {
  if (type === "null") return value === null;
  if (type === "array") return Array.isArray(value);
  if (type === "integer") return Number.isInteger(value);
  if (type === "object") return typeof value === "object" && value !== null && !Array.isArray(value);
  return typeof value === type;
}

function innerFlaws(value: unknown, schema: Schema, root: Schema, path: string): readonly string[] {
  if (Array.isArray(value)) {
    return value.flatMap((each, index) => flawsOf(each, schema["items"] as Schema, root, `${path}[${index}]`));
  }
  if (typeof value !== "object" || value === null) return [];
  const properties = (schema["properties"] ?? {}) as Readonly<Record<string, Schema>>;
  const required = (schema["required"] ?? []) as readonly string[];
  const missing = required.filter((name) => !Object.hasOwn(value, name)).map((name) => `${path}.${name} is missing`);
  const inner = Object.entries(value).flatMap(([name, each]) => {
    const own = Object.hasOwn(properties, name) ? properties[name] : undefined;
    return own === undefined ? [`${path}.${name} is not in the schema`] : flawsOf(each, own, root, `${path}.${name}`);
  });
  return [...missing, ...inner];
}

/** Every schema of an object within the schema, with its place. */
export function objectSchemas(schema: unknown, path = "$"): readonly (readonly [path: string, schema: Schema])[] {
  if (typeof schema !== "object" || schema === null) return [];
  const own = "properties" in schema ? [[path, schema as Schema] as const] : [];
  return [...own, ...Object.entries(schema).flatMap(([name, each]) => objectSchemas(each, `${path}/${name}`))];
}
