//! The script for PyMOL.

use std::fmt::Write as _;

use super::{MOST_THICK, ViewedMatter, ViewedRun};
use crate::formats::write::topology::MOST_CONNECTED;
use crate::report::names::TOPOLOGY;

/// The object that is worked on; at the end it is called as the run's directory is.
const OBJECT: &str = "mdrun_view";
/// Part of half of the cell's diagonal that its corners lie beyond the atoms at most.
const CORNERS: f64 = 0.5;
/// What gives the frames of an extended XYZ file their cells.
const CELLS: &str = include_str!("cells.pml");
/// What draws periodic images, by the directions in which there are some.
const IMAGES: &str = include_str!("images.pml");
/// Most atoms whose images are drawn unasked: they are 26 times as many.
const MOST_IMAGED: usize = MOST_THICK / 5;

/// The script of a run.
pub(super) fn script(run: &ViewedRun<'_>) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let (file, format) = run.file();
    let (stride, words, others) = (run.stride, &run.words, run.others());
    let (bonds, mode) = match run.atoms <= MOST_CONNECTED {
        true => ("Bonds are those of the topology.", 1),
        false => (
            "The topology has no bonds of so many atoms: they are found from distances.",
            0,
        ),
    };
    // Atoms are moved back to where the topology has them: it stays, as the first state.
    let state = if run.unwraps() { 2 } else { 1 };
    let mut text = format!(
        "# Shows this run in PyMOL: pymol view.pml\n\
         # mdrun {version}, {words}\n\
         {others}\
         /import os\n\
         /mdrun_back = os.getcwd()\n\
         /os.chdir(os.path.dirname(os.path.abspath(__script__)))\n\
         # {bonds}\n\
         /mdrun_mode = cmd.get(\"connect_mode\")\n\
         set connect_mode, {mode}\n\
         load {TOPOLOGY}, {OBJECT}\n\
         /cmd.set(\"connect_mode\", mdrun_mode)\n\
         # Every so-manieth frame is loaded: interval.\n\
         /if os.path.exists(\"{file}\"): \
         cmd.load_traj(\"{file}\", \"{OBJECT}\", {state}, format=\"{format}\", interval={stride})\n"
    );
    if run.is_text() && run.has_cell() {
        let each = if run.pressed { "True" } else { "False" };
        text += CELLS;
        let _ = writeln!(
            text,
            "/mdrun_cells(\"{OBJECT}\", \"{file}\", {state}, {stride}, {each})"
        );
    }
    if run.wraps() {
        text += "# Molecules are moved into the cell.\n";
        let [x, y, z] = [0, 1, 2].map(|k| format!("{:.4}", run.middle[k]));
        let _ = writeln!(text, "/cmd.pbc_wrap(\"{OBJECT}\", [{x}, {y}, {z}])");
    }
    if run.unwraps() {
        text += "# Atoms are moved back to where their bonds are.\n";
        let _ = writeln!(text, "/cmd.pbc_unwrap(\"{OBJECT}\")");
    }
    draw(&mut text, run);
    if run.has_cell() {
        let periodic = run.periodic.map(|yes| u8::from(yes).to_string()).join(", ");
        let _ = writeln!(text, "/mdrun_periodic = [{periodic}]");
        text += IMAGES;
    }
    let _ = write!(
        text,
        "/mdrun_name = cmd.get_legal_name(os.path.basename(os.getcwd())) or \"run\"\n\
         /mdrun_name = mdrun_name if mdrun_name not in cmd.get_names() else cmd.get_unused_name(mdrun_name)\n\
         /cmd.set_name(\"{OBJECT}\", mdrun_name)\n\
         /os.chdir(mdrun_back)\n"
    );
    if run.has_cell() && run.matter == ViewedMatter::Crystal && run.atoms <= MOST_IMAGED {
        text += "# Those of a crystal are drawn.\n/mdrun_images(mdrun_name)\n";
    }
    text
}

/// Adds what draws the atoms and the cell.
fn draw(text: &mut String, run: &ViewedRun<'_>) {
    let thick = run.atoms <= MOST_THICK;
    let mut line = |words: &str| {
        let _ = writeln!(text, "{words}, {OBJECT}");
    };
    line("hide everything");
    line("set valence, 0");
    match (run.matter, thick) {
        (ViewedMatter::Molecule, true) => [
            "show sticks",
            "show spheres",
            "set stick_radius, 0.12",
            "set sphere_scale, 0.22",
        ],
        (ViewedMatter::Liquid, true) => [
            "show sticks",
            "show nb_spheres",
            "set stick_radius, 0.2",
            "set nb_spheres_size, 0.5",
        ],
        (ViewedMatter::Atoms, true) => [
            "show spheres",
            "show sticks",
            "set sphere_scale, 0.5",
            "set stick_radius, 0.12",
        ],
        (ViewedMatter::Crystal, true) => [
            "show sticks",
            "show spheres",
            "set stick_radius, 0.15",
            "set sphere_scale, 0.3",
        ],
        (_, false) => [
            "show lines",
            "show nonbonded",
            "set line_width, 2",
            "set nonbonded_size, 0.25",
        ],
    }
    .into_iter()
    .for_each(&mut line);
    let _ = writeln!(text, "color gray60, {OBJECT} and elem C");
    if run.has_cell() {
        let _ = write!(
            text,
            "# The object's own colour is that of its cell, whose parallel edges stay parallel.\n\
             show cell, {OBJECT}\n\
             /cmd.set_object_color(\"{OBJECT}\", \"gray50\")\n\
             set orthoscopic, on\n\
             turn y, -20\n\
             turn x, 15\n"
        );
    } else {
        let _ = writeln!(text, "orient {OBJECT}");
    }
    let _ = writeln!(text, "zoom {OBJECT}, complete=1");
    if run.has_cell() {
        // Planes that cut what is near and far are set about the atoms: the cell's corners lie farther out.
        let room = CORNERS * run.middle.norm();
        let _ = writeln!(text, "clip near, {room:.1}\nclip far, -{room:.1}");
    }
}
