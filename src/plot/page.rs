//! Pages of tables and plots: self-contained HTML whose style is readable in light and dark, and on paper.

use super::{COLOURS, escaped};

const LIGHT: &str = "--ink:#1a1a1a;--soft:#5c5f66;--line:#c9ccd1;--back:#fff;--band:#f3f4f6;\
--c0:#6b7280;--c1:#0b63b0;--c2:#00805e;--c3:#c2500a;--c4:#a83279;--c5:#7a6200;--c6:#6a3fb0;--c7:#0e7c8a;--c8:#b0203a";
const DARK: &str = "--ink:#e6e7ea;--soft:#a2a6ae;--line:#474b53;--back:#16181c;--band:#1f2227;\
--c0:#a2a8b3;--c1:#63b0f4;--c2:#43cfa5;--c3:#f59a5c;--c4:#ec86c0;--c5:#dcc04a;--c6:#b493f2;--c7:#5cc9d8;--c8:#f47d90";
const PAPER: &str = "--ink:#000;--soft:#444;--line:#bbb;--back:#fff;--band:#f3f4f6;\
--c0:#6b7280;--c1:#0b63b0;--c2:#00805e;--c3:#c2500a;--c4:#a83279;--c5:#7a6200;--c6:#6a3fb0;--c7:#0e7c8a;--c8:#b0203a";

const PAGE: &str = "\
@media print{figure,tbody{break-inside:avoid}}
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
";

const DRAWING: &str = "\
svg text{fill:var(--ink);font:13px system-ui,sans-serif}
.grid{stroke:var(--line);stroke-width:.6}.axis{stroke:var(--soft);fill:none}
.line{fill:none;stroke-width:2}.mark{stroke:var(--back);stroke-width:1}.back{fill:var(--back)}
";

/// Colours by name, and what is drawn in them.
pub(super) fn svg_style() -> String {
    let mut style = format!(
        ":root{{color-scheme:light dark;{LIGHT}}}\n@media(prefers-color-scheme:dark){{:root{{{DARK}}}}}\n\
         @media print{{:root{{{PAPER}}}}}\n{DRAWING}"
    );
    for k in 0..COLOURS {
        style += &format!(".line.c{k}{{stroke:var(--c{k})}}.mark.c{k}{{fill:var(--c{k})}}\n");
    }
    style
}

/// A page of a title and what is in it. Nothing is fetched.
pub fn html(title: &str, body: &str) -> String {
    let title = escaped(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>\n{}{PAGE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{body}</body>\n</html>\n",
        svg_style()
    )
}
