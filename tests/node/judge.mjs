// Judges documents by schemas: reads {schemas: {name: schema}, documents: [{schema, data} or {schema, file}]} and writes for
// each document {valid, problem}. A file is read by npm's `yaml` as YAML 1.2; one that it can't read has `unread: true`.
import Ajv2020 from "ajv/dist/2020.js";
import { readFileSync } from "node:fs";
import { parse } from "yaml";

const { schemas, documents } = JSON.parse(readFileSync(0, "utf8"));
const validators = {};
for (const [name, schema] of Object.entries(schemas)) {
  const ajv = new Ajv2020({ strict: true, allErrors: true });
  validators[name] = [ajv, ajv.compile(schema)];
}

function judged({ schema, data, file }) {
  const [ajv, validate] = validators[schema];
  try {
    const valid = validate(file === undefined ? data : parse(readFileSync(file, "utf8"), { merge: true }));
    return { valid, problem: ajv.errorsText(validate.errors) };
  } catch (error) {
    return { valid: false, unread: true, problem: String(error) };
  }
}

process.stdout.write(JSON.stringify(documents.map(judged)));
