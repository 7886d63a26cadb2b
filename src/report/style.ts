/** Colours are named by what they mean; dark ones where the reader prefers them, light ones on paper. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --paper: #ffffff; --raised: #f5f7fa; --ink: #1a2230; --soft: #566174; --line: #d9dfe8;
  --good: #0b62b8; --good-soft: #0b62b82e; --bad: #bd2c1e; --look: #8a5a00; --idle: #7d8797;
  --execute: #0b62b8; --review: #d9a514; --reject: #bd2c1e; --no-score: #7d8797;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #10151c; --raised: #18202a; --ink: #e7ebf1; --soft: #a0abba; --line: #2c3643;
    --good: #62aefc; --good-soft: #62aefc38; --bad: #ff8375; --look: #e6b54a; --idle: #818c9b;
    --execute: #4f9df0; --review: #d7ab3a; --reject: #f0776a; --no-score: #818c9b;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 1rem; overflow-wrap: anywhere; }
h1 span { color: var(--soft); font-weight: 500; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .6rem; padding-top: 1rem; border-top: 1px solid var(--line); }
p { margin: .6rem 0; max-width: 46rem; }
code, .kind, dd, .promise { overflow-wrap: anywhere; }
.kind { margin: 0; color: var(--soft); font-size: .9rem; }
.tiles { list-style: none; margin: 0 0 1rem; padding: 0; display: grid; gap: .7rem; grid-template-columns: repeat(auto-fit, minmax(10.5rem, 1fr)); }
.tiles li { background: var(--raised); border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .8rem; display: flex; flex-direction: column; min-width: 0; }
.tiles strong { font-size: 1.35rem; line-height: 1.3; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.tiles span { color: var(--soft); font-size: .85rem; }
dl { margin: 0; font-size: .92rem; display: grid; gap: .2rem 1.5rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 25rem), 1fr)); }
dl div { display: grid; grid-template-columns: 8.5rem 1fr; gap: .5rem; border-bottom: 1px solid var(--line); padding: .15rem 0; }
dt { color: var(--soft); }
dd { margin: 0; font-variant-numeric: tabular-nums; }
.promise { background: var(--raised); border-left: 4px solid var(--good); border-radius: 0 .5rem .5rem 0; padding: .8rem 1rem; max-width: none; font-size: 1.05rem; }
figure { margin: 1rem 0; }
figcaption { color: var(--soft); font-size: .9rem; margin-top: .4rem; max-width: 46rem; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--soft); font: 12px system-ui, sans-serif; font-variant-numeric: tabular-nums; }
svg .title { fill: var(--ink); }
.pair { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); }
.narrow { display: none; }
.mix { height: 26px; border-radius: .3rem; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1.2rem; margin: .5rem 0 0; padding: 0; font-size: .9rem; }
.legend li { display: flex; align-items: center; gap: .45rem; }
svg.key { width: 24px; height: 12px; flex: none; }
.axis { fill: none; stroke: var(--soft); stroke-width: 1; }
.grid { stroke: var(--line); stroke-width: 1; }
.curve { fill: none; stroke: var(--good); stroke-width: 2; stroke-linejoin: round; }
.bound { fill: none; stroke: var(--good); stroke-width: 1.2; stroke-dasharray: 2 3; }
.limit { fill: none; stroke: var(--bad); stroke-width: 1.6; stroke-dasharray: 7 4; }
.diagonal { fill: none; stroke: var(--soft); stroke-width: 1.2; stroke-dasharray: 4 4; }
.mark { fill: none; stroke: var(--ink); stroke-width: 1.2; }
.mark-by-cost { stroke-dasharray: 5 3; }
.mark-previous { stroke-dasharray: 1.5 3; }
svg .mark-name { fill: var(--ink); font-weight: 600; paint-order: stroke; stroke: var(--paper); stroke-width: 5px; }
.whisker { stroke: var(--soft); stroke-width: 1.5; fill: none; }
.bar { fill: var(--idle); stroke: none; }
path.bar { stroke: var(--idle); stroke-width: 8; }
.fill-band { fill: var(--good-soft); }
.fill-execute { fill: var(--execute); }
.fill-review { fill: var(--review); }
.fill-reject { fill: var(--reject); }
.fill-no-score { fill: var(--no-score); }
.dot-certified { fill: var(--good); stroke: var(--paper); stroke-width: .6; }
.dot-failed { fill: var(--paper); stroke: var(--bad); stroke-width: 1.6; }
.dot-not-reached { fill: var(--idle); stroke: none; }
.dot-hollow { fill: var(--paper); stroke: var(--good); stroke-width: 1.6; }
.scroll { overflow-x: auto; margin: .8rem 0; border: 1px solid var(--line); border-radius: .5rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .28rem .7rem; white-space: nowrap; vertical-align: top; }
th { color: var(--soft); font-weight: 600; border-bottom: 1px solid var(--line); }
tbody tr + tr td { border-top: 1px solid var(--line); }
.number { text-align: right; }
.found { display: block; white-space: normal; min-width: 15rem; }
tr.chosen { background: var(--good-soft); }
tr.not-reached td { color: var(--soft); }
tr.failed td { color: var(--bad); }
.state { color: var(--soft); }
.state.look { color: var(--look); font-weight: 600; }
@media (max-width: 46rem) {
  .wide { display: none; }
  .narrow { display: block; }
  dl div { grid-template-columns: 7rem 1fr; }
  .tiles strong { font-size: 1.1rem; }
  th, td { padding: .28rem .45rem; }
  td:first-child:not(.number) { white-space: normal; }
}
@media print {
  :root {
    color-scheme: light;
    --paper: #ffffff; --raised: #f5f7fa; --ink: #1a2230; --soft: #566174; --line: #d9dfe8;
    --good: #0b62b8; --good-soft: #0b62b82e; --bad: #bd2c1e; --look: #8a5a00; --idle: #7d8797;
    --execute: #0b62b8; --review: #d9a514; --reject: #bd2c1e; --no-score: #7d8797;
  }
  body { font-size: 10.5pt; }
  main { max-width: none; padding: 0; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  figure, tr, .tiles li, .promise { break-inside: avoid; }
  h2 { break-after: avoid; }
  .scroll { overflow: visible; border: 0; }
  table { font-size: 8.5pt; }
  th, td { padding: .15rem .35rem; white-space: normal; }
}
`
