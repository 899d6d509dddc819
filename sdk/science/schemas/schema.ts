/** The part of JSON Schema (2019-09) that the formats are written in. */
export interface JsonSchema {
  $schema?: string;
  $id?: string;
  title?: string;
  description?: string;
  default?: unknown;
  type?: TypeName | readonly TypeName[];
  enum?: readonly string[];
  const?: unknown;
  $ref?: string;
  $defs?: Readonly<Record<string, JsonSchema>>;
  if?: JsonSchema;
  then?: JsonSchema;
  else?: JsonSchema;
  allOf?: readonly JsonSchema[];
  properties?: Readonly<Record<string, JsonSchema>>;
  required?: readonly string[];
  additionalProperties?: boolean | JsonSchema;
  propertyNames?: JsonSchema;
  minProperties?: number;
  items?: JsonSchema;
  minItems?: number;
  minLength?: number;
  pattern?: string;
  minimum?: number;
  maximum?: number;
}

export type TypeName = "object" | "array" | "string" | "number" | "integer" | "boolean" | "null";

/** A whole format: what its file holds, or each line of it. */
export interface FormatSchema extends JsonSchema {
  $schema: string;
  $id: string;
  title: string;
  description: string;
}

export const DRAFT = "https://json-schema.org/draft/2019-09/schema";

/** Text of at least one character. */
export const some_text = (description: string): JsonSchema => ({ type: "string", minLength: 1, description });

/** A path within the model's folder. */
export const path_of = (description: string): JsonSchema => some_text(`${description} A path in the folder.`);

/** `$schema` of a data file, for editors. */
export const schema_link: JsonSchema = {
  type: "string",
  description: "For editors: where the schema of the file lies. Not read.",
};
