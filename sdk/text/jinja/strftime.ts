import { itemAt } from "../../../models/certain.ts";

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = "January February March April May June July August September October November December".split(
  " ",
);

/** Python's strftime in the C locale. Fields that it does not know stay as they are. */
export function strftime(date: Date, format: string): string {
  const two = (n: number) => String(n).padStart(2, "0");
  const day = itemAt(DAYS, date.getDay());
  const month = itemAt(MONTHS, date.getMonth());
  const year = String(date.getFullYear());
  const yearday =
    Math.round(
      (Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) - Date.UTC(date.getFullYear(), 0, 1)) /
        864e5,
    ) + 1;
  const fields: Record<string, string> = {
    Y: year,
    y: two(date.getFullYear() % 100),
    m: two(date.getMonth() + 1),
    d: two(date.getDate()),
    e: String(date.getDate()).padStart(2, " "),
    j: String(yearday).padStart(3, "0"),
    B: month,
    b: month.slice(0, 3),
    h: month.slice(0, 3),
    A: day,
    a: day.slice(0, 3),
    w: String(date.getDay()),
    u: String(date.getDay() || 7),
    H: two(date.getHours()),
    I: two(date.getHours() % 12 || 12),
    M: two(date.getMinutes()),
    S: two(date.getSeconds()),
    f: String(date.getMilliseconds() * 1000).padStart(6, "0"),
    p: date.getHours() < 12 ? "AM" : "PM",
    F: `${year}-${two(date.getMonth() + 1)}-${two(date.getDate())}`,
    T: `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`,
    R: `${two(date.getHours())}:${two(date.getMinutes())}`,
    D: `${two(date.getMonth() + 1)}/${two(date.getDate())}/${two(date.getFullYear() % 100)}`,
    n: "\n",
    t: "\t",
    "%": "%",
  };
  // Python's `-` drops the padding: %-d.
  return format.replace(/%(-?)([a-zA-Z%])/g, (whole, bare: string, name: string) => {
    const field = fields[name];
    if (field === undefined) return whole;
    return bare === "" ? field : field.replace(/^[0 ]+(?=.)/, "");
  });
}
