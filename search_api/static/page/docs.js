// Draws the OpenAPI description as a page one can read; nothing is loaded from elsewhere.

import { $, h, prose } from "./dom.js";

let components = {};

const resolve = (schema = {}) => (schema.$ref ? components[schema.$ref.split("/").at(-1)] ?? {} : schema);
const named = (schema) => schema.$ref?.split("/").at(-1);

/** A schema's type in a few words: `integer`, `TagOut[]`, `"model" | "human"`. */
function kind(schema = {}) {
  if (schema.$ref) return named(schema);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.anyOf) return schema.anyOf.map(kind).join(" | ");
  if (schema.type === "array") return `${kind(schema.items)}[]`;
  if (schema.format === "binary") return "file";
  return schema.type ?? "any";
}

function limits(schema) {
  const words = [];
  if (schema.minimum !== undefined) words.push(`from ${schema.minimum}`);
  if (schema.maximum !== undefined) words.push(`to ${schema.maximum}`);
  if (schema.maxLength !== undefined) words.push(`at most ${schema.maxLength} characters`);
  if (["number", "string", "boolean"].includes(typeof schema.default) && schema.default !== "") words.push(`default ${schema.default}`);
  return words.join(", ");
}

function fields(schema, seen = new Set()) {
  const rows = [];
  for (const [name, field] of Object.entries(resolve(schema).properties ?? {})) {
    rows.push(row(name, field));
    const inner = [field, field.items, ...(field.anyOf ?? [])].find((part) => part?.$ref);
    if (inner && !seen.has(named(inner))) {
      const deeper = fields(inner, new Set([...seen, named(inner)]));
      rows.push(...deeper.map((line) => { line.firstChild.prepend(`${name}.`); return line; }));
    }
  }
  return rows;
}

const row = (name, schema, description) => h("tr", {}, h("td", {}, name), h("td", {}, kind(schema)),
  h("td", {}, ...prose([description ?? schema.description, limits(schema)].filter(Boolean).join("; "))));

function example(schema) {
  const whole = resolve(schema);
  if (whole.examples?.length) return whole.examples[0];
  if (whole.default !== undefined) return whole.default;
  if (whole.properties) return Object.fromEntries(Object.entries(whole.properties).map(([name, field]) => [name, example(field)]));
  return { string: "", integer: 0, number: 0, boolean: false, array: [] }[whole.type] ?? null;
}

const table = (title, rows) => (rows.length ? [h("h3", {}, title), h("table", {}, h("tbody", {}, ...rows))] : []);

function request(operation) {
  const [[type, content] = []] = Object.entries(operation.requestBody?.content ?? {});
  if (!content) return [];
  const shown = type === "application/json" ? [h("pre", {}, JSON.stringify(example(content.schema), null, 2))] : [];
  return [...table(`Body, ${type}`, fields(content.schema)), ...shown];
}

function answer(operation) {
  const [status, good] = Object.entries(operation.responses).find(([code]) => code.startsWith("2")) ?? [];
  const schema = good?.content?.["application/json"]?.schema;
  const refusals = Object.keys(operation.responses).filter((code) => /^[45]/.test(code));
  return [
    ...(schema ? table(`Answer ${status}`, fields(schema)) : []),
    refusals.length ? h("p", { className: "gist" }, `May refuse with ${refusals.join(", ")} as application/problem+json.`) : null,
  ];
}

function endpoint(method, path, operation) {
  const [gist, ...rest] = (operation.description ?? operation.summary).split("\n\n");
  const parameters = (operation.parameters ?? []).map((parameter) => row(parameter.name, parameter.schema, parameter.description ?? parameter.schema.description));
  const [scope] = Object.values(operation.security?.[0] ?? {}).flat();
  const needs = scope ? [h("p", { className: "gist" }, "Needs the scope ", h("code", {}, scope), ", once there is a key.")] : [];
  return h("details", {},
    h("summary", {}, h("span", { className: "method" }, method.toUpperCase()), h("code", { className: "path" }, path), h("span", { className: "gist" }, ...prose(gist))),
    h("div", { className: "body" }, ...rest.map((text) => h("p", {}, ...prose(text))), ...needs, ...table("Parameters", parameters), ...request(operation), ...answer(operation)));
}

async function draw() {
  const described = await (await fetch("/v1/openapi.json")).json();
  components = described.components.schemas;
  const groups = new Map();
  for (const [path, methods] of Object.entries(described.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const group = operation.tags?.[0] ?? "other";
      groups.set(group, [...(groups.get(group) ?? []), endpoint(method, path, operation)]);
    }
  }
  $("docs").replaceChildren(
    h("h1", {}, "API"), h("p", {}, described.info.summary, " The same in machine form: ", h("a", { href: "/v1/openapi.json" }, "/v1/openapi.json"), "."),
    ...[...groups].flatMap(([name, list]) => [h("h2", {}, name), ...list]));
}

draw().catch((error) => $("docs").replaceChildren(h("p", {}, `The description could not be read: ${error.message}`)));
