//! The text of a new run file: its stages by protocol, with comments that say why each value.

use super::potential::ChosenModel;
use super::{Protocol, is_periodic_box};
use crate::core::{Cell, elements};
use crate::shell::quoted;
use crate::terminal::shown;
use crate::text::counted;

const HYDROGEN: u8 = 1;
/// Column at which comments behind values begin.
const COMMENTS: usize = 40;
/// Widest line of a comment (columns).
const WIDEST: usize = 120;

/// What is around the atoms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AroundAtoms {
    /// Nothing.
    Open,
    /// Images of them along some directions: a slab, a wire.
    Partly,
    /// Images along all directions.
    Box,
}

impl AroundAtoms {
    /// Those that a cell makes.
    pub(super) fn of(cell: &Cell) -> Self {
        match is_periodic_box(cell) {
            true => Self::Box,
            false if cell.is_periodic() => Self::Partly,
            false => Self::Open,
        }
    }
}

/// What a run file is written for.
pub(super) struct RunFileDraft<'a> {
    /// The path of the structure from the run file, as TOML.
    pub(super) structure: String,
    /// Which frame of it, where it has several.
    pub(super) frame: Option<i64>,
    /// The run file's name without its ending.
    pub(super) name: &'a str,
    /// Atomic numbers.
    pub(super) species: &'a [u8],
    pub(super) surroundings: AroundAtoms,
    pub(super) protocol: Protocol,
    pub(super) potential: &'a ChosenModel,
    /// What water was put around a solute, where some was.
    pub(super) bath: Option<&'a str>,
    /// What there is to say of the structure.
    pub(super) remarks: &'a [String],
}

/// Lines of a run file.
#[derive(Default)]
struct CommentedLines(String);

impl CommentedLines {
    /// Adds a comment of its own, in lines that are not too long.
    fn note(&mut self, comment: &str) {
        let comment = shown(comment);
        for line in comment.lines() {
            let mut width = 0;
            for word in line.split_whitespace() {
                if width == 0 || width + 1 + word.chars().count() > WIDEST {
                    self.0 += if width == 0 { "#" } else { "\n#" };
                    width = 1;
                }
                self.0 += " ";
                self.0 += word;
                width += 1 + word.chars().count();
            }
            self.0 += if width == 0 { "#\n" } else { "\n" };
        }
    }

    /// Adds a line.
    fn line(&mut self, line: &str) {
        self.0 += line;
        self.0.push('\n');
    }

    /// Adds a blank line and the head of a table.
    fn table(&mut self, head: &str) {
        self.0.push('\n');
        self.line(head);
    }

    /// Adds a key with its value as TOML, and why it is this one.
    fn key(&mut self, key: &str, value: &str, why: &str) {
        let setting = format!("{key} = {value}");
        self.line(&match why {
            "" => setting,
            _ => format!("{setting:<COMMENTS$}# {why}"),
        });
    }

    /// Adds the head of a stage, with why it is there.
    fn stage(&mut self, name: &str, why: &str) {
        self.0.push('\n');
        self.note(why);
        self.line("[[stage]]");
        self.key("name", &format!("{name:?}"), "");
    }
}

impl RunFileDraft<'_> {
    /// The run file.
    pub(super) fn text(&self) -> String {
        let mut text = CommentedLines::default();
        self.head(&mut text);
        self.subject(&mut text);
        self.dynamics(&mut text);
        self.output(&mut text);
        self.relax(&mut text);
        self.heat(&mut text);
        match self.protocol {
            Protocol::Npt => self.press(&mut text),
            Protocol::Nve | Protocol::Nvt => self.equilibrate(&mut text),
        }
        self.produce(&mut text);
        text.0
    }

    fn is_open(&self) -> bool {
        self.surroundings == AroundAtoms::Open
    }

    fn head(&self, text: &mut CommentedLines) {
        let file = quoted(format!("{}.toml", self.name).as_ref());
        let course = match self.protocol {
            Protocol::Nve => "kept there, and then 10 ps at constant energy",
            Protocol::Nvt => "kept there until it has settled, and then 20 ps at 300 K",
            Protocol::Npt => {
                "pressed at 1 bar until its density has settled, and then 20 ps at 300 K and 1 bar"
            }
        };
        text.note(&format!(
            "{} ({}): minimised, heated to 300 K, {course}, by one command: mdrun {file}",
            elements::formula(self.species),
            counted(self.species.len() as u64, "atom"),
        ));
        text.note(
            "\nFour stages, each with what it changes of the rest of the file (docs/stages.md). Before it runs, mdrun check says \
             what the file means, whether the potential is sound here, and how long it will take; mdrun keys has every key. Any \
             of them can be set when it runs: --set stage.produce.dynamics.duration=\"100 ps\".",
        );
        if !self.remarks.is_empty() {
            text.note("\n");
        }
        for remark in self.remarks {
            text.note(remark);
        }
    }

    fn subject(&self, text: &mut CommentedLines) {
        text.table("[system]");
        if let Some(bath) = self.bath {
            text.note(bath);
        }
        text.key("structure", &self.structure, "");
        if let Some(frame) = self.frame {
            text.key("frame", &frame.to_string(), "0 is the first, -1 the last");
        }
        text.key("velocities", "\"zero\"", "heating sets it in motion");
        text.table("[potential]");
        let known = self.potential.elements();
        match self.potential.shipped {
            Some(_) => text.note(&format!(
                "A PaiNN that comes with mdrun, for neutral, closed-shell molecules of {known}: not for ions, radicals, or bonds \
                 that break (models/README.md). One of your own goes here by its path.",
            )),
            None => text.note(&format!("It knows {known}.")),
        }
        let names = &self.potential.names;
        match &names[..] {
            [name] => text.key("model", name, ""),
            several => text.key("model", &format!("[{}]", several.join(", ")), ""),
        }
    }

    fn dynamics(&self, text: &mut CommentedLines) {
        text.table("[dynamics]");
        match self.protocol {
            Protocol::Npt => {
                text.key("ensemble", "\"npt\"", "constant temperature and pressure");
                bath_keys(text);
                text.key("pressure", "\"1 bar\"", "");
                text.key(
                    "barostat_relaxation",
                    "\"1 ps\"",
                    "of the volume: slower than its sound waves",
                );
                text.key(
                    "compressibility",
                    "\"4.5e-5 1/bar\"",
                    "water's; it sets the pace alone, an estimate will do",
                );
                text.key(
                    "coupling",
                    "\"isotropic\"",
                    "for liquids; \"anisotropic\" or \"triclinic\" for crystals",
                );
            }
            Protocol::Nve | Protocol::Nvt if self.is_open() => {
                let why = "every atom has a bath of its own: right for few atoms";
                text.key("ensemble", "\"langevin\"", why);
                text.key("temperature", "\"300 K\"", "");
                let why = "forgets its velocity in half a picosecond";
                text.key("friction", "\"2 1/ps\"", why);
                let why = "another one for every run that is to be independent";
                text.key("seed", "1", why);
                let why = "no momentum of the whole: it stays where it is";
                text.key("remove_drift", "1", why);
            }
            Protocol::Nve | Protocol::Nvt => {
                let why = "rescales velocities: disturbs motion the least";
                text.key("ensemble", "\"csvr\"", why);
                bath_keys(text);
            }
        }
        let (step, why) = match self.species.contains(&HYDROGEN) {
            true => ("\"0.5 fs\"", "bonds to hydrogen vibrate in 9 fs"),
            false => ("\"1 fs\"", "without hydrogen; 0.5 fs with it"),
        };
        text.key("timestep", step, why);
    }

    fn output(&self, text: &mut CommentedLines) {
        let directory = toml::Value::String(format!("trajectories/{}", self.name)).to_string();
        text.table("[output]");
        text.key("directory", &directory, "");
        text.key("thermo_every", "20", "steps between lines of thermo.csv");
        text.table("[[output.trajectory]]");
        let (every, why) = match self.is_open() {
            true => ("\"10 fs\"", "of all stages that have none of their own"),
            false => ("\"50 fs\"", "of all stages"),
        };
        text.key("format", "\"dcd\"", "for VMD and others: traj.dcd");
        text.key("every", every, why);
        text.0.push('\n');
        text.note("Limits that end the run as failed: what no sound run reaches. The steps before it are kept.");
        text.line("[monitor]");
        text.key("action", "\"stop\"", "or \"warn\"");
        let why = "of a moment; that of few atoms fluctuates widely";
        text.key("temperature", "\"2000 K\"", why);
        text.key("force", "\"50 eV/A\"", "bonds break at a tenth of it");
        let why = "a third less than the shortest bond at rest";
        text.key("contact", "\"0.5 A\"", why);
        text.0.push('\n');
        text.note("Where it runs: \"auto\" (the fastest there is), \"cpu\", or \"cuda:0\".");
        text.line("[device]");
        text.key("kind", "\"auto\"", "");
    }

    fn relax(&self, text: &mut CommentedLines) {
        let (force, most, why) = match self.is_open() {
            true => ("\"0.05 eV/A\"", "500", "a tenth of what warmth brings"),
            false => (
                "\"0.3 eV/A\"",
                "300",
                "a liquid needs no minimum, and finds none",
            ),
        };
        text.stage(
            "relax",
            "Takes the strain out of a structure that was built, or comes from another method.",
        );
        text.line("[stage.dynamics]");
        text.key("ensemble", "\"minimize\"", "to the nearest minimum");
        text.key("force", force, why);
        text.key("most_steps", most, "then it goes on, and says so");
    }

    fn heat(&self, text: &mut CommentedLines) {
        text.stage(
            "heat",
            "Warms it slowly enough that no part becomes much hotter than the rest.",
        );
        text.line("[stage.dynamics]");
        if !self.is_open() {
            let why = "sets in motion what stands still";
            text.key("ensemble", "\"langevin\"", why);
            text.key("friction", "\"5 1/ps\"", "");
            let why = "of every step: what follows stands still as a whole";
            text.key("remove_drift", "1", why);
        }
        text.key(
            "temperature",
            "[\"0 K\", \"300 K\"]",
            "a ramp over the stage",
        );
        text.key("duration", "\"2 ps\"", "");
    }

    fn equilibrate(&self, text: &mut CommentedLines) {
        let (window, most) = match self.is_open() {
            true => ("\"1 ps\"", "\"10 ps\""),
            false => ("\"2 ps\"", "\"20 ps\""),
        };
        text.stage(
            "equilibrate",
            "Lets the heat spread until the potential energy has come to rest.",
        );
        text.key(
            "until",
            "\"energy settled\"",
            "two windows agree within their errors",
        );
        text.key("until_window", window, "");
        text.line("[stage.dynamics]");
        text.key("duration", most, "the most");
    }

    fn press(&self, text: &mut CommentedLines) {
        let own = match (self.bath, self.potential.shipped) {
            (Some(_), Some(_)) => {
                " The water of the potentials that come with mdrun is denser than water is, painn_hcno_gfn2's by \
                 18 % at 1 bar (models/README.md): the box shrinks."
            }
            _ => "",
        };
        text.stage(
            "press",
            &format!("Lets the box find the density that the potential has at this pressure.{own}"),
        );
        text.key(
            "until",
            "\"density settled\"",
            "two windows agree within their errors",
        );
        text.key(
            "until_window",
            "\"4 ps\"",
            "some relaxation times of the barostat",
        );
        text.line("[stage.dynamics]");
        text.key("duration", "\"100 ps\"", "the most");
    }

    fn produce(&self, text: &mut CommentedLines) {
        let (what, duration) = match self.protocol {
            Protocol::Nve => (
                "At constant energy nothing hides a fault: what is conserved may not drift. The closing summary has the verdict.",
                "\"10 ps\"",
            ),
            Protocol::Nvt | Protocol::Npt => (
                "What is to be looked at: mdrun analyze takes it with --stage produce. Make it as long as your question needs.",
                "\"20 ps\"",
            ),
        };
        text.stage("produce", what);
        text.line("[stage.dynamics]");
        if self.protocol == Protocol::Nve {
            text.key("ensemble", "\"nve\"", "velocity Verlet");
            if self.is_open() {
                text.key("remove_drift", "0", "");
            }
        }
        text.key("duration", duration, "");
        if self.protocol == Protocol::Nve {
            text.line("[stage.monitor]");
            text.key(
                "action",
                "\"warn\"",
                "the drift of the first picosecond is not well known",
            );
            let why = "as much as heats it by 0.4 K in 1 ps";
            text.key("drift", "\"0.1 meV/atom/ps\"", why);
        }
        if self.is_open() {
            text.line("[[stage.output.trajectory]]");
            let why = "exact, for ASE and OVITO: traj.produce.xyz";
            text.key("format", "\"xyz\"", why);
            text.key("every", "\"10 fs\"", "");
            text.key("fields", "[\"velocities\"]", "");
        }
    }
}

/// Keys of velocity rescaling.
fn bath_keys(text: &mut CommentedLines) {
    text.key("temperature", "\"300 K\"", "");
    let why = "of the kinetic energy to that of the bath";
    text.key("relaxation", "\"0.1 ps\"", why);
    let why = "another one for every run that is to be independent";
    text.key("seed", "1", why);
}
