/** The pages' style sheet: one for light and dark, nothing loaded from anywhere. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --text: light-dark(#1c2024, #e6e8eb);
  --quiet: light-dark(#5d656f, #9aa3ad);
  --page: light-dark(#f7f8f9, #14171a);
  --raised: light-dark(#ffffff, #1d2125);
  --line: light-dark(#dfe3e8, #31373d);
  --hover: light-dark(#f0f3f6, #262b30);
  --link: light-dark(#0b5cad, #7cb7f5);
  --service-0: light-dark(#3d7dca, #6ea8ea);
  --service-1: light-dark(#8a5cc7, #b48fe6);
  --service-2: light-dark(#1f8f7d, #4fbfac);
  --service-3: light-dark(#b7791f, #dca850);
  --service-4: light-dark(#c2557f, #e58bae);
  --service-5: light-dark(#68747f, #97a3ae);
}
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 84rem; padding: 1.5rem; background: var(--page); color: var(--text); font: 15px/1.5 system-ui, sans-serif }
h1 { font-size: 1.35rem; margin: 0; font-weight: 600; overflow-wrap: anywhere }
header { display: flex; flex-wrap: wrap; gap: 0 1rem; align-items: baseline; margin-bottom: 1rem }
header p, .card p { margin: 0 }
code { font: 0.92em ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", monospace }
a { color: var(--link); text-decoration: none }
a:hover { text-decoration: underline }
nav { margin-bottom: 0.75rem }
.quiet { color: var(--quiet) }
.empty { padding: 2.5rem; text-align: center; color: var(--quiet); background: var(--raised); border: 1px solid var(--line); border-radius: 8px }
form { display: flex; flex-wrap: wrap; gap: 0.75rem 1rem; align-items: center; margin-bottom: 1rem }
label { color: var(--quiet) }
input, select, button { font: inherit; color: var(--text); background: var(--raised); border: 1px solid var(--line); border-radius: 6px; padding: 0.3rem 0.6rem; margin-left: 0.35rem }
input { width: 17rem }
button { cursor: pointer; margin: 0 }
button:hover { background: var(--hover) }
.list { width: 100%; border-collapse: separate; border-spacing: 0; background: var(--raised); border: 1px solid var(--line); border-radius: 8px; overflow: hidden }
.list th, .list td { padding: 0.45rem 0.75rem; text-align: left; border-bottom: 1px solid var(--line); white-space: nowrap }
.list th { color: var(--quiet); font-weight: 500; font-size: 0.87rem }
.list tr:last-child td { border-bottom: 0 }
.list tbody tr:hover { background: var(--hover) }
.list .number, .time { text-align: right; font-variant-numeric: tabular-nums }
.list td:last-child { white-space: normal }
.badge { display: inline-block; padding: 0.05rem 0.6rem; border-radius: 99px; font-size: 0.87rem; font-weight: 600; color: var(--text); background: var(--hover) }
.badge.execute { color: light-dark(#116033, #7fe0a8); background: light-dark(#d9f2e3, #15392a) }
.badge.review { color: light-dark(#7a4b00, #f3c877); background: light-dark(#fdeccb, #3f300f) }
.badge.reject { color: light-dark(#96202a, #ff9ca3); background: light-dark(#fbdfe0, #47191d) }
.badge.dead-letter { color: light-dark(#ffffff, #16181a); background: light-dark(#565d66, #b4bbc3) }
.card { background: var(--raised); border: 1px solid var(--line); border-radius: 8px; padding: 0.75rem 1rem; margin-bottom: 0.75rem }
dl { display: flex; flex-wrap: wrap; gap: 0.35rem 2rem; margin: 0.5rem 0 0 }
dt { color: var(--quiet); font-size: 0.87rem }
dd { margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere }
.legend { display: flex; flex-wrap: wrap; gap: 0.25rem 1.25rem; margin: 1rem 0 0.5rem }
.dot { display: inline-block; flex: none; width: 0.7rem; height: 0.7rem; border-radius: 3px; margin-right: 0.5rem }
.waterfall { background: var(--raised); border: 1px solid var(--line); border-radius: 8px; overflow: hidden; margin-bottom: 0.75rem }
.axis, summary { display: grid; grid-template-columns: minmax(10rem, 32%) 1fr; align-items: center; padding-right: 1.25rem }
.axis { color: var(--quiet); font-size: 0.82rem; border-bottom: 1px solid var(--line); height: 2rem }
.ticks { position: relative; height: 100% }
.ticks span { position: absolute; top: 0; bottom: 0; padding: 0.35rem 0 0 0.35rem; border-left: 1px solid var(--line); white-space: nowrap }
.ticks .last { transform: translateX(-100%); border-left: 0; border-right: 1px solid var(--line); padding: 0.35rem 0.35rem 0 0 }
details { border-bottom: 1px solid var(--line) }
details:last-child { border-bottom: 0 }
summary { cursor: pointer; list-style: none; height: 2.1rem }
summary::-webkit-details-marker { display: none }
summary:hover, details[open] > summary { background: var(--hover) }
.name { display: flex; align-items: center; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; margin-left: 0.5rem }
.lane { position: relative; height: 100%; background: linear-gradient(90deg, var(--line) 1px, transparent 1px) 0 0 / 25% 100% }
.bar { position: absolute; top: 0.6rem; height: 0.9rem; min-width: 3px; border-radius: 3px }
.ms { position: absolute; top: 0.3rem; padding: 0 0.4rem; font-size: 0.85rem; color: var(--quiet); font-variant-numeric: tabular-nums; white-space: nowrap }
b.error { margin-left: 0.5rem; font-size: 0.8rem; color: light-dark(#b3222d, #ff8f97) }
details.error .bar { outline: 2px solid light-dark(#b3222d, #ff8f97) }
.attributes { border-collapse: collapse; margin: 0.25rem 1rem 0.75rem 2rem; font-size: 0.92rem }
.attributes th { text-align: left; font-weight: 400; color: var(--quiet); padding: 0.1rem 1.25rem 0.1rem 0; vertical-align: top; white-space: nowrap }
.attributes td { overflow-wrap: anywhere }
@media (max-width: 60rem) { .ticks span:not(:first-child, .last) { color: transparent } body { padding: 0.75rem } .list { display: block; overflow-x: auto } }
`
