//! The table of keys is what the run file takes, and what the guide tells.

use std::fs;

use mdrun::config::{self, plan::Plan};

use crate::support::{mdrun, root};

/// What stands before and after the reference in the guide.
const MARKS: [&str; 2] = ["<!-- keys -->\n", "<!-- end of keys -->\n"];

/// The guide's reference of keys is that of the table. `MDRUN_BLESS=1` writes it.
#[test]
fn the_guide_has_the_table_of_keys() {
    let path = root().join("docs/guide.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(MARKS[0]).unwrap();
    let (told, after) = rest.split_once(MARKS[1]).unwrap();
    let table = format!("\n{}\n", config::reference());
    if std::env::var_os("MDRUN_BLESS").is_some() {
        let [open, close] = MARKS;
        fs::write(&path, format!("{before}{open}{table}{close}{after}")).unwrap();
        return;
    }
    assert!(
        told == table,
        "docs/guide.md has another reference of keys than src/config/keys; to rewrite it, type\n\
         MDRUN_BLESS=1 cargo test --release --locked the_guide_has_the_table_of_keys"
    );
}

/// A table of the reference.
struct Told {
    /// `[dynamics]`
    heading: String,
    keys: Vec<ToldKey>,
}

struct ToldKey {
    name: String,
    /// What it is where it is left out, in TOML; `None` where that depends on the run.
    default: Option<String>,
    /// Whether it is for some ensembles alone, and whether "npt" is among them.
    of_some: bool,
    of_npt: bool,
}

impl Told {
    /// Every table of the reference.
    fn all() -> Vec<Self> {
        let mut tables: Vec<Self> = Vec::new();
        for line in config::reference().lines() {
            if let Some(heading) = line.strip_prefix("#### `") {
                let heading = heading.trim_end_matches('`').to_owned();
                let keys = Vec::new();
                tables.push(Self { heading, keys });
            } else if let Some(row) = line.strip_prefix("| `") {
                let cells: Vec<&str> = row.split(" | ").collect();
                let code = cells[2].strip_prefix('`').and_then(|c| c.strip_suffix('`'));
                let key = ToldKey {
                    name: cells[0].trim_end_matches('`').to_owned(),
                    default: code.filter(|c| !c.contains('`')).map(str::to_owned),
                    of_some: cells.len() > 4 && cells[3] != "all",
                    of_npt: cells.len() > 4 && cells[3].contains("`\"npt\"`"),
                };
                tables.last_mut().unwrap().keys.push(key);
            }
        }
        assert!(tables.len() >= 9 && tables.iter().all(|t| !t.keys.is_empty()));
        tables
    }

    /// Whether it is of a stage.
    fn of_stage(&self) -> bool {
        self.heading.contains("[stage")
    }

    /// Its path in an override.
    fn path(&self) -> String {
        let name = self.heading.split(" = ").next().unwrap();
        let name = name.trim_matches(['[', ']']);
        // Of the first group.
        let name = name.replace("group.", "group.0.");
        let name = name.replace("stage.", "stage.0.");
        match self.heading.starts_with("[[") {
            true => format!("{name}.0"),
            false => name,
        }
    }
}

/// A group with all of its tables but a thermostat, which is of one ensemble alone.
const GROUP: &str = "[[group]]\nname = \"a\"\natoms = \"index 0\"\nspring = { constant = \"1 eV/A^2\" }\n\
    wall = [{ centre = [\"0 A\", \"0 A\", \"0 A\"], radius = \"50 A\", constant = \"1 eV/A^2\" }]\n";

/// A stage that goes down to a minimum, and one that lasts until something has settled.
const MINIMUM: &str = "[[stage]]\nname = \"a\"\n[stage.dynamics]\nensemble = \"minimize\"\n";
const UNTIL: &str = "[[stage]]\nname = \"a\"\nuntil = \"energy settled\"\n";

/// The first stage of a run file.
fn stage(file: &std::path::Path, settings: &[&str]) -> Plan {
    let settings: Vec<String> = settings.iter().map(|one| (*one).to_owned()).collect();
    match config::load_any(file, &settings, None) {
        Ok(config::Asked::Staged(staged)) => staged.stages[0].clone(),
        other => panic!("{settings:?}: {other:?}"),
    }
}

/// A default of a stage that is written out means what leaving it out means.
#[test]
fn defaults_of_stages_are_what_the_table_says() {
    let folder = tempfile::tempdir().unwrap();
    let file = |more| run_file(folder.path(), ("", "model = \"painn_hcno_gfn2\"", more));
    let (minimum, until) = (file(MINIMUM), file(UNTIL));
    let loose = [
        "system.cell=[\"20 A\",\"20 A\",\"20 A\"]",
        "system.periodic=true",
        "stage.0.dynamics.cell=isotropic",
    ];
    let mut seen = 0;
    for table in Told::all().iter().filter(|table| table.of_stage()) {
        for key in &table.keys {
            let Some(default) = &key.default else {
                continue;
            };
            let setting = format!("{}.{}={default}", table.path(), key.name);
            let (file, before) = match (table.heading.as_str(), key.name.as_str()) {
                ("[[stage]]", _) => (&until, &loose[..0]),
                (_, "pressure" | "stress") => (&minimum, &loose[..]),
                _ => (&minimum, &loose[..0]),
            };
            let usual = stage(file, before);
            let written = stage(file, &[before, &[setting.as_str()]].concat());
            let same = Plan {
                places: usual.places.clone(),
                notes: usual.notes.clone(),
                ..written
            };
            assert!(
                usual == same,
                "{setting} is another run: {:?}",
                same.resolved
            );
            seen += 1;
        }
    }
    assert!(seen > 5, "{seen}");
}

/// A run file in which every table is there but groups, as `system` and `potential` make it, and `more`.
fn run_file(
    folder: &std::path::Path,
    (system, potential, more): (&str, &str, &str),
) -> std::path::PathBuf {
    let structure = root().join("tests/all/config/good/files/two_frames.xyz");
    let text = format!(
        "[system]\nstructure = {structure:?}\n{system}\n[potential]\n{potential}\n\
         [dynamics]\nensemble = \"nve\"\ntimestep = \"0.5 fs\"\nsteps = 10\n\
         [output]\n[[output.trajectory]]\nformat = \"xyz\"\nevery = 1\n[monitor]\n[device]\n[constraints]\n{more}"
    );
    let path = folder.join(format!("run{}.toml", more.len()));
    fs::write(&path, text).unwrap();
    path
}

/// What reads the run file takes the keys of the table, and no others.
#[test]
fn the_run_file_takes_the_keys_of_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let file = run_file(
        folder.path(),
        (
            "velocities = { temperature = \"300 K\", seed = 1 }",
            "lennard_jones = { epsilon = \"1 meV\", sigma = \"1 A\", cutoff = \"2.5 A\" }",
            GROUP,
        ),
    );
    config::load(&file, &[], None).unwrap();
    let staged = run_file(folder.path(), ("", "model = \"painn_hcno_gfn2\"", MINIMUM));
    for table in Told::all() {
        let setting = format!("{}.zzz=1", table.path());
        let file = if table.of_stage() { &staged } else { &file };
        let error = config::load(file, &[setting], None)
            .unwrap_err()
            .to_string();
        let (_, taken) = error.split_once("(keys here: ").unwrap();
        let taken: Vec<&str> = taken.trim_end_matches(')').split(", ").collect();
        let told: Vec<&str> = table.keys.iter().map(|key| key.name.as_str()).collect();
        assert_eq!(taken, told, "{}", table.heading);
    }
}

/// A default that is written out means what leaving it out means.
#[test]
fn defaults_are_what_the_table_says() {
    let folder = tempfile::tempdir().unwrap();
    let potential = "model = \"painn_hcno_gfn2\"";
    let file = run_file(folder.path(), ("", potential, GROUP));
    let without = run_file(folder.path(), ("", potential, ""));
    // The ensemble that has all keys but a few, and one that has those of chains.
    let pressed: Vec<String> = [
        "system.cell=[\"20 A\",\"20 A\",\"20 A\"]",
        "system.periodic=true",
        "dynamics.ensemble=npt",
        "dynamics.temperature=300 K",
        "dynamics.pressure=1 bar",
        "dynamics.relaxation=0.1 ps",
        "dynamics.seed=1",
        "dynamics.barostat_relaxation=1 ps",
        "dynamics.compressibility=4.5e-5 1/bar",
    ]
    .map(str::to_owned)
    .to_vec();
    let chained: Vec<String> = [
        "dynamics.ensemble=nose_hoover",
        "dynamics.temperature=300 K",
        "dynamics.relaxation=0.1 ps",
    ]
    .map(str::to_owned)
    .to_vec();
    let with_a_chain = config::load(&without, &chained, None).unwrap();
    let plain = config::load(&file, &[], None).unwrap();
    let under_pressure = config::load(&without, &pressed, None).unwrap();
    let mut seen = 0;
    for table in Told::all().iter().filter(|table| !table.of_stage()) {
        for key in &table.keys {
            let Some(default) = &key.default else {
                continue;
            };
            let setting = format!("{}.{}={default}", table.path(), key.name);
            let (usual, file, mut settings) = match key.of_some {
                true if !key.of_npt => (&with_a_chain, &without, chained.clone()),
                true => (&under_pressure, &without, pressed.clone()),
                false => (&plain, &file, Vec::new()),
            };
            settings.push(setting.clone());
            let written = config::load(file, &settings, None);
            let written = written.unwrap_or_else(|e| panic!("{setting}: {e}"));
            let same = Plan {
                places: usual.places.clone(),
                notes: usual.notes.clone(),
                ..written
            };
            assert!(
                *usual == same,
                "{setting} is another run: {:?}",
                same.resolved
            );
            seen += 1;
        }
    }
    assert!(seen > 15, "{seen}");
}

/// `mdrun keys` prints the keys of the table, those of one table alone where it is named, and no marks of Markdown.
#[test]
fn keys_are_printed() {
    let all = mdrun(&["keys"]);
    let all = std::str::from_utf8(&all.stdout).unwrap();
    let some = mdrun(&["keys", "[potential]"]);
    let some = std::str::from_utf8(&some.stdout).unwrap();
    for table in Told::all() {
        for text in [all, some] {
            let here = text == all || table.heading.contains("potential");
            assert_eq!(text.contains(&format!("{}  ", table.heading)), here);
        }
        for key in &table.keys {
            assert!(all.contains(&format!("\n  {} ", key.name)), "{}", key.name);
        }
    }
    assert!(all.ends_with(".\n"), "{all}");
    for marks in ["`", "]("] {
        assert!(!all.contains(marks), "{all}");
    }
    let wrong = mdrun(&["keys", "dynamic"]);
    let error = std::str::from_utf8(&wrong.stderr).unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(error.contains("did you mean \"dynamics\"?"), "{error}");
}
