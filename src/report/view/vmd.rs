//! The script for VMD: what depends on the run, and then `body.tcl`, which is the same for all.

use super::{MOST_THICK, ViewedMatter, ViewedRun};

/// What loads and draws.
const BODY: &str = include_str!("body.tcl");

/// The script of a run.
pub(super) fn script(run: &ViewedRun<'_>) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let (file, format) = run.file();
    let truth = |yes: bool| u8::from(yes);
    let periodic = run.periodic.map(|yes| truth(yes).to_string()).join(" ");
    let cells = match (run.is_text() && run.has_cell(), run.pressed) {
        (false, _) => "viewer",
        (true, false) => "first",
        (true, true) => "each",
    };
    let representations: String = (representations(run).iter())
        .map(|line| format!("        {line}\n"))
        .collect();
    format!(
        "# Shows this run in VMD: vmd -e view.vmd\n\
         # mdrun {version}, {words}\n\
         {others}\
         namespace eval ::mdrun_view {{\n\
         \x20   variable trajectory {{{file} {format}}}\n\
         \x20   # Every so-manieth frame is loaded.\n\
         \x20   variable stride {stride}\n\
         \x20   variable periodic {{{periodic}}}\n\
         \x20   # Where cells come from: VMD reads them, or those of the first frame or of each are read here.\n\
         \x20   variable cells {cells}\n\
         \x20   # Whether molecules are moved into the cell, and whether atoms are moved back to where their bonds are.\n\
         \x20   variable wrap {wrap}\n\
         \x20   variable unwrap {unwrap}\n\
         \x20   # Style, atoms, periodic images, and whether it is shown.\n\
         \x20   variable representations {{\n\
         {representations}\
         \x20   }}\n\
         }}\n\
         {BODY}",
        words = run.words,
        others = run.others(),
        stride = run.stride,
        wrap = truth(run.wraps()),
        unwrap = truth(run.unwraps()),
    )
}

/// The representations, each as a list of Tcl.
fn representations(run: &ViewedRun<'_>) -> Vec<String> {
    let thick = run.atoms <= MOST_THICK;
    let one = |style: &str, atoms: &str| format!("{{{{{style}}} {{{atoms}}} {{}} on}}");
    let mut all = match (run.matter, thick) {
        (ViewedMatter::Molecule, true) => vec![one("CPK 0.8 0.4 24 24", "all")],
        (ViewedMatter::Liquid, true) => vec![one("Licorice 0.15 16 16", "all")],
        (ViewedMatter::Atoms, true) => vec![one("VDW 0.4 20", "all")],
        (ViewedMatter::Crystal, true) => vec![one("CPK 1.0 0.5 20 20", "all")],
        (ViewedMatter::Molecule | ViewedMatter::Liquid, false) => vec![one("Lines 2", "all")],
        (ViewedMatter::Atoms, false) => vec![one("Points 6", "all")],
        (ViewedMatter::Crystal, false) => vec![one("Lines 2", "all"), one("Points 6", "all")],
    };
    if run.single && matches!(run.matter, ViewedMatter::Molecule | ViewedMatter::Liquid) {
        all.push(one("VDW 0.3 16", "numbonds = 0"));
    }
    if run.has_cell() {
        let axes = [["x", "X"], ["y", "Y"], ["z", "Z"]].into_iter();
        let axes = axes.zip(run.periodic).filter(|(_, periodic)| *periodic);
        let flags: String = axes.flat_map(|(axis, _)| axis).collect();
        let style = match run.matter {
            ViewedMatter::Atoms | ViewedMatter::Crystal => "Points 3",
            _ => "Lines 1",
        };
        let shown = match run.matter {
            ViewedMatter::Crystal => "on",
            _ => "off",
        };
        all.push(format!("{{{{{style}}} {{all}} {flags}n {shown}}}"));
    }
    all
}
