"""The style of the report's page: it reads on a phone, in the dark and on paper, without scripts and fonts to load."""

STYLE = """
:root { color-scheme: light dark; --page: #ffffff; --text: #1d232b; --soft: #59636e; --line: #d5dae0; --fill: #f4f6f8;
  --link: #0b5cad; --accent: #0072B2; --warn: #fff4d6; --warn-line: #d18f00; --shadow: rgba(30, 40, 50, .28); }
@media (prefers-color-scheme: dark) { :root { --page: #14181d; --text: #e3e7ec; --soft: #a3adb8; --line: #38414b;
  --fill: #1e242b; --link: #7cbcff; --accent: #56B4E9; --warn: #352b10; --warn-line: #E69F00; --shadow: #000; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-padding-top: 1rem; }
body { font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; max-width: 76rem; margin: 0 auto;
  padding: 1.5rem 1.25rem 4rem; color: var(--text); background: var(--page); }
h1 { font-size: 1.9rem; line-height: 1.2; margin: .5rem 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.35rem; margin: 3rem 0 .75rem; padding-bottom: .3rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.75rem 0 .5rem; }
p, li, dd { max-width: 48rem; overflow-wrap: anywhere; }
a { color: var(--link); }
.question { font-size: 1.1rem; color: var(--soft); margin: 0 0 1.25rem; }
.answer { font-size: 1.2rem; line-height: 1.45; max-width: none; margin: 0 0 1rem; padding: 1rem 1.25rem;
  background: var(--fill); border-left: 5px solid var(--accent); border-radius: 0 6px 6px 0; }
.note { background: var(--warn); border-left: 4px solid var(--warn-line); padding: .5rem .9rem; margin: .5rem 0;
  border-radius: 0 6px 6px 0; }
nav ol { columns: 3 13rem; padding-left: 1.4rem; margin: .5rem 0; }
nav { border: 1px solid var(--line); border-radius: 6px; padding: .6rem 1rem; margin: 1.25rem 0; }
nav strong { font-weight: 600; }
.table { overflow-x: auto; margin: .5rem 0 1rem; border: 1px solid var(--line); border-radius: 6px;
  scrollbar-width: thin; scrollbar-color: var(--soft) var(--fill);
  background: linear-gradient(to left, var(--page) 35%, transparent) right / 3.5rem 100% no-repeat local,
    linear-gradient(to left, var(--shadow), transparent) right / 1.1rem 100% no-repeat scroll, var(--page); }
.table::-webkit-scrollbar { height: 10px; } .table::-webkit-scrollbar-track { background: var(--fill); }
.table::-webkit-scrollbar-thumb { background: var(--soft); border-radius: 5px; border: 2px solid var(--fill); }
.table:focus-visible, a:focus-visible, summary:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
table { border-collapse: separate; border-spacing: 0; font-size: .86rem; font-variant-numeric: tabular-nums;
  min-width: 100%; }
caption { caption-side: top; text-align: left; color: var(--soft); padding: .5rem .7rem 0; }
th, td { padding: .35rem .6rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
tbody tr:last-child > * { border-bottom: 0; }
thead th { vertical-align: bottom; white-space: normal; min-width: 4.2rem; font-weight: 600; color: var(--soft);
  line-height: 1.25; }
tbody th { font-weight: 500; }
th:first-child { text-align: left; position: sticky; left: 0; background: var(--page); white-space: normal;
  border-right: 1px solid var(--line); min-width: 11rem; overflow-wrap: anywhere; }
.interval { display: block; color: var(--soft); font-size: .92em; }
.words th, .words td { text-align: left; } .words td { white-space: normal; overflow-wrap: anywhere; }
.wide-hint { display: none; color: var(--soft); font-size: .85rem; margin: .25rem 0; }
figure { margin: 1.5rem 0 2.25rem; }
figure a.image { display: block; background: #fff; border: 1px solid var(--line); border-radius: 6px; padding: .4rem;
  max-width: 68rem; }
figure img { display: block; width: 100%; height: auto; }
figcaption { color: var(--soft); font-size: .92rem; margin-top: .45rem; max-width: 60rem; }
dl { display: grid; grid-template-columns: minmax(8rem, 15rem) 1fr; gap: .4rem 1.25rem; }
dt { font-weight: 600; } dd { margin: 0; }
details { margin: .75rem 0; } summary { cursor: pointer; color: var(--link); }
footer { margin-top: 3rem; color: var(--soft); font-size: .9rem; border-top: 1px solid var(--line);
  padding-top: .75rem; }
@media (max-width: 45rem) {
  body { padding: 1rem .9rem 3rem; } h1 { font-size: 1.5rem; } .answer { font-size: 1.08rem; padding: .8rem 1rem; }
  .wide-hint { display: block; } th:first-child { min-width: 7rem; }
  dl { grid-template-columns: 1fr; gap: .1rem; } dd { margin-bottom: .6rem; }
}
@media print {
  :root { --page: #fff; --text: #000; --soft: #444; --line: #bbb; --fill: #f4f4f4; --link: #000; --warn: #fff; }
  body { max-width: none; padding: 0; font-size: 10pt; } nav, .wide-hint { display: none; }
  .table { overflow: visible; border: 0; background: none; } table { font-size: 7pt; }
  th, td { padding: 2pt 4pt; white-space: normal; } th:first-child { position: static; }
  figure, tr { break-inside: avoid; } h2, h3 { break-after: avoid; }
}
"""
