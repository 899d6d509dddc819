/** The formats of the files that people write: schemas, and the check of data against them. */
export { checkData, type FormatName } from "./check_data.ts";
export { FORMATS } from "./formats.ts";
