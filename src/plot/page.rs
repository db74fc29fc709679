//! Pages of tables and plots: self-contained HTML whose style is readable in light and dark, and on paper.

use super::{COLOURS, escaped};

const LIGHT: &str = "--ink:#1a1a1a;--soft:#5c5f66;--line:#c9ccd1;--back:#fff;--band:#f3f4f6;\
--c0:#6b7280;--c1:#0b63b0;--c2:#00805e;--c3:#c2500a;--c4:#a83279;--c5:#7a6200;--c6:#6a3fb0;--c7:#0e7c8a;--c8:#b0203a";
const DARK: &str = "--ink:#e6e7ea;--soft:#a2a6ae;--line:#474b53;--back:#16181c;--band:#1f2227;\
--c0:#a2a8b3;--c1:#63b0f4;--c2:#43cfa5;--c3:#f59a5c;--c4:#ec86c0;--c5:#dcc04a;--c6:#b493f2;--c7:#5cc9d8;--c8:#f47d90";
const PAPER: &str = "--ink:#000;--soft:#444;--line:#bbb;--back:#fff;--band:#f3f4f6;\
--c0:#6b7280;--c1:#0b63b0;--c2:#00805e;--c3:#c2500a;--c4:#a83279;--c5:#7a6200;--c6:#6a3fb0;--c7:#0e7c8a;--c8:#b0203a";

const PAGE: &str = "\
body{margin:0 auto;padding:1.5rem;max-width:76rem;background:var(--back);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:2rem 0 .5rem}p{max-width:46rem;margin:.4rem 0}
.about{color:var(--soft)}.scroll{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem}
th,td{padding:.18rem .7rem;text-align:right;white-space:nowrap}th{font-weight:600}
th:first-child,td:first-child{text-align:left}thead th{border-bottom:1px solid var(--line);vertical-align:bottom}
tbody th{padding-top:.8rem}tbody tr:nth-child(even){background:var(--band)}.unit,td.none{color:var(--soft);font-weight:400}
td.none{text-align:left}
.plots{display:grid;margin:1.5rem 0;grid-template-columns:repeat(auto-fit,minmax(min(30rem,100%),1fr));gap:1rem 2rem}
figure{margin:0;max-width:40rem}figcaption{font-weight:600;margin:.6rem 0 .2rem}
svg{width:100%;height:auto;display:block}
li{max-width:60rem}
pre{font:13px/1.45 ui-monospace,monospace;background:var(--band);padding:.7rem 1rem;overflow-x:auto}
pre{white-space:pre-wrap;overflow-wrap:anywhere}
.facts{margin:.5rem 0}.facts th{text-align:left;vertical-align:top;font-weight:400;color:var(--soft)}
.facts td{text-align:left;vertical-align:top;white-space:normal;overflow-wrap:anywhere;min-width:6rem}
.facts tbody th{padding-top:.18rem}.good{color:var(--c2)}.bad{color:var(--c8)}
@media print{body{padding:0;max-width:none;font-size:11px}figure,tbody{break-inside:avoid}h2,figcaption{break-after:avoid}
h2{margin-top:1rem}.plots{grid-template-columns:1fr 1fr;gap:.3rem 1.2rem;margin:.5rem 0}
pre{columns:2;background:none;padding:0;font-size:9px}}
";

const DRAWING: &str = "\
svg text{fill:var(--ink);font:13px system-ui,sans-serif}
.grid{stroke:var(--line);stroke-width:.6}.axis{stroke:var(--soft);fill:none}
.line{fill:none;stroke-width:1.7;stroke-linejoin:round}.mark{stroke:var(--back);stroke-width:1}.back{fill:var(--back)}
.band{opacity:.25}.bar{opacity:.55}.cell{fill:none;stroke:var(--soft);stroke-width:1.3;stroke-linejoin:round}
";

/// Colours by name, and what is drawn in them.
pub(super) fn svg_style() -> String {
    let mut style = format!(
        ":root{{color-scheme:light dark;{LIGHT}}}\n@media(prefers-color-scheme:dark){{:root{{{DARK}}}}}\n\
         @media print{{:root{{{PAPER}}}}}\n{DRAWING}"
    );
    for k in 0..COLOURS {
        style += &format!(
            ".line.c{k}{{stroke:var(--c{k})}}.mark.c{k}{{fill:var(--c{k})}}.band.c{k},.bar.c{k}{{fill:var(--c{k})}}\n"
        );
    }
    style
}

/// What the head of every page has: by it a page that may be replaced is told from what others have made.
pub const GENERATOR: &str = "<meta name=\"generator\" content=\"mdrun ";

/// A page of a title and what is in it. Nothing is fetched.
pub fn html(title: &str, body: &str) -> String {
    let title = escaped(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         {GENERATOR}{}\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>\n{}{PAGE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{body}</body>\n</html>\n",
        env!("CARGO_PKG_VERSION"),
        svg_style()
    )
}
