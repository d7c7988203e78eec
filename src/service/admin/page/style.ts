/** Dense and calm, on a phone as on a desk, by day and by night. A state has its word and its sign beside its colour. */
export const STYLE = `
:root{color-scheme:light dark;--ink:#1b2430;--soft:#566274;--line:#d9dfe8;--paper:#f4f6f9;--card:#fff;--good:#0b6b3f;--warn:#7d5200;--bad:#b3261e;--goodbg:#e5f4ec;--warnbg:#fdf1da;--badbg:#fce8e6;--p50:#1d5fbf;--p95:#6b4fb3;--p99:#8a5a00}
@media(prefers-color-scheme:dark){:root{--ink:#e4e9f1;--soft:#9daabc;--line:#2f3947;--paper:#11161d;--card:#181f29;--good:#5fd39b;--warn:#eabf5a;--bad:#ff8f86;--goodbg:#12301f;--warnbg:#33280f;--badbg:#3a1a19;--p50:#7ab0ff;--p95:#b9a2ff;--p99:#e8b55c}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:68rem;padding:1rem;background:var(--paper);color:var(--ink);font:15px/1.45 system-ui,"DejaVu Sans",sans-serif}
h1{display:flex;gap:.6rem;align-items:baseline;margin:0;font-size:1.5rem;line-height:1.25}
h2{margin:1.5rem 0 .5rem;font-size:.8rem;letter-spacing:.08em;text-transform:uppercase;color:var(--soft)}
h3{margin:0;font-size:1.1rem;overflow-wrap:anywhere}h4{margin:.9rem 0 .2rem;font-size:.85rem}p{margin:.2rem 0}
.verdict{padding:.9rem 1.1rem;border-radius:.5rem;border-left:.4rem solid;background:var(--goodbg)}
.verdict p{color:var(--ink)}.verdict.good{border-color:var(--good)}.verdict.warning{border-color:var(--warn);background:var(--warnbg)}.verdict.bad{border-color:var(--bad);background:var(--badbg)}
.good{--tone:var(--good)}.warning{--tone:var(--warn)}.bad{--tone:var(--bad)}.unknown{--tone:var(--soft)}
.mark{color:var(--tone);font-weight:700}
.badge{white-space:nowrap;color:var(--tone);font-weight:600}.badge .mark{display:inline-block;width:1.1em}
td .badge,.found .badge{white-space:normal}
.soft,.quiet,.label,footer,dt,.renewal{color:var(--soft)}.soft,footer,.renewal{font-size:.85rem}
.findings{margin:0;padding:0;list-style:none}.findings li{margin:0 0 .6rem;padding:.6rem .9rem;background:var(--card);border:1px solid var(--line);border-left:.3rem solid var(--warn);border-radius:.4rem;overflow-wrap:anywhere}
.findings .critical{border-left-color:var(--bad)}.findings .step{display:grid;grid-template-columns:5.6rem minmax(0,1fr)}.label{padding-top:.1rem;font-size:.8rem}
.card{margin:0 0 .8rem;padding:.8rem 1rem;background:var(--card);border:1px solid var(--line);border-radius:.5rem}
.head{display:flex;flex-wrap:wrap;gap:.2rem .8rem;align-items:baseline}
.facts{display:flex;flex-wrap:wrap;gap:.3rem 1.6rem;margin:.6rem 0}.facts dt{font-size:.75rem}.facts dd{margin:0;font-weight:600;font-variant-numeric:tabular-nums}
figure{margin:.4rem 0;min-width:0}figcaption{color:var(--soft);font-size:.78rem}.pair{display:grid;grid-template-columns:minmax(0,1.2fr) minmax(0,1fr);gap:.4rem 1.6rem;align-items:start}.pair h4{margin-top:.3rem}svg{display:block;width:100%;height:auto;font:11px system-ui,"DejaVu Sans",sans-serif}svg text{fill:var(--soft)}
.grid{stroke:var(--line)}.limit{stroke:var(--bad);stroke-dasharray:5 4}svg .limit-label{fill:var(--bad)}
path{fill:none}.p50{stroke:var(--p50);stroke-width:2}.p95{stroke:var(--p95);stroke-width:1.6;stroke-dasharray:6 2}.p99{stroke:var(--p99);stroke-width:1.4;stroke-dasharray:2 2}
rect.used{fill:var(--good)}rect.failed{fill:var(--bad)}
.scroll{overflow-x:auto}table{width:100%;border-collapse:collapse;font-size:.86rem}
th,td{padding:.3rem .8rem .3rem 0;border-top:1px solid var(--line);text-align:left;vertical-align:top;font-weight:400}
thead th{border-top:0;font-size:.75rem;color:var(--soft)}tbody th{font-weight:600;overflow-wrap:anywhere;min-width:7rem}time{white-space:nowrap}.number{text-align:right;font-variant-numeric:tabular-nums}
details{margin:.6rem 0}summary{cursor:pointer;font-weight:600;font-size:.86rem}
code{padding:.1rem .3rem;border-radius:.2rem;background:var(--paper);font:.85em ui-monospace,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
.text{overflow-wrap:anywhere}
:focus-visible{outline:2px solid var(--p50);outline-offset:2px}
footer{margin-top:1.2rem;padding-top:.6rem;border-top:1px solid var(--line)}
.stale .renewal{position:fixed;z-index:1;inset:0 0 auto;margin:0;padding:.6rem 1rem;background:var(--badbg);color:var(--bad);font-weight:700;font-size:1rem}
.stale main{margin-top:2.5rem;filter:grayscale(1)}
.unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
@media(max-width:32rem){body{padding:.6rem}h1{font-size:1.25rem}.card{padding:.7rem}.facts{display:grid;grid-template-columns:1fr 1fr;gap:.4rem 1rem}.findings .step{display:block}.label{display:block}th,td{padding-right:.6rem}svg{font-size:14px}}
@media(max-width:48rem){.pair{grid-template-columns:minmax(0,1fr)}.wide{min-width:34rem}}
`
