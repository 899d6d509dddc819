export {
  AIM,
  type CaseDistance,
  type Distance,
  type RowErrors,
  type Summary,
  summarise,
} from "./distance.ts";
export { type DistanceOptions, type Measured, measureCase } from "./measure.ts";
