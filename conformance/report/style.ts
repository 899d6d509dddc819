/** The look of the report: both themes, the reader's own fonts, heat as one hue and red for what is out of bounds. */
export const STYLE = `
:root { color-scheme: light dark; --page: #fcfcfb; --card: #fff; --ink: #1b1d21; --quiet: #62676f; --line: #e3e4e7;
  --heat: 0, 114, 178; --most: 0.75; --bad: #c62828; --bad-ink: #fff; --good: #1a7f4b; }
@media (prefers-color-scheme: dark) {
  :root { --page: #16181c; --card: #1d2025; --ink: #e8e9ec; --quiet: #9aa0a9; --line: #33373e;
    --heat: 86, 180, 233; --most: 0.5; --bad: #e5534b; --bad-ink: #16181c; --good: #58c48b; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 14px/1.5 system-ui, sans-serif; }
main { max-width: 1480px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 24px; margin: 0 0 4px; text-wrap: balance; }
h2 { font-size: 17px; margin: 40px 0 4px; }
h3 { font-size: 15px; margin: 28px 0 4px; }
p { margin: 0 0 12px; color: var(--quiet); max-width: 80ch; }
.verdict { font-size: 16px; color: var(--ink); }
.verdict b { color: var(--good); } .verdict b.bad { color: var(--bad); }
.wide { overflow-x: auto; width: fit-content; max-width: 100%; background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 8px 12px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap; }
th { font-weight: 500; color: var(--quiet); text-align: left; padding: 4px 10px 4px 4px; }
td { padding: 3px 10px 3px 4px; }
tbody td, tbody th { border-top: 1px solid var(--line); }
.heat tbody tr:not(.family) .of { border-top-color: transparent; }
.heat th.of { color: var(--ink); font-weight: 650; padding-right: 18px; }
summary { cursor: pointer; margin: 0 0 10px; }
.number { text-align: right; }
.heat td.cell, .heat thead th.site { text-align: center; min-width: 42px; padding: 3px 4px; }
.heat td.cell { background: rgba(var(--heat), calc(var(--share) * var(--most))); background-clip: padding-box; border-left: 2px solid transparent; }
.heat th.name { color: var(--ink); font-weight: 400; }
td.over, .heat td.cell.over { background: var(--bad); color: var(--bad-ink); font-weight: 650; }
.ok { color: var(--good); } .wrong { color: var(--bad); font-weight: 650; }
.legend { display: flex; gap: 14px; align-items: center; flex-wrap: wrap; margin: 8px 0 10px; color: var(--quiet); font-size: 13px; }
.legend i { display: inline-block; width: 26px; height: 13px; margin-right: 6px; vertical-align: -2px; border: 1px solid var(--line);
  background: rgba(var(--heat), calc(var(--share) * var(--most))); }
.legend i.over { background: var(--bad); }
ul { margin: 8px 0; padding-left: 20px; } li { margin-bottom: 6px; overflow-wrap: anywhere; }
code { font: 12.5px/1.4 ui-monospace, monospace; }
`;
