//! What a model was trained on: elements that its file does not list, charges and spins that it has not learned; what a run, a
//! check and a single point say of them.

use std::fs;
use std::path::Path;

use mdrun::potential::TrainedOn;
use mdrun::potential::painn::{RadialBasis, Spec, Weights, export, import_noted};
use serde_json::Value;

use crate::parity::model_file::File;
use crate::support::{mdrun, root};

/// Writes a small model for H, C and O; `change` does what it likes to its metadata.
fn model(path: &Path, change: &[(&str, &str)]) {
    let spec = Spec::new(8, 2, RadialBasis::gaussian(6, 4.0), 4.0, &[1, 6, 8]);
    let spec = Spec {
        reference_energies: vec![-13.0, -1000.0, -2000.0],
        ..spec
    };
    let mut file = File::open(&export(&spec, &Weights::random(&spec, 1)).unwrap());
    for (from, to) in change {
        file = file.painn(from, to);
    }
    fs::write(path, file.bytes()).unwrap();
}

/// What stands in the metadata of a model that lists its elements, and what takes that away.
const LISTED: (&str, &str) = (
    "\"elements\": [1, 6, 8], \"reference_energies_eV\": {\"1\": -13.0, \"6\": -1000.0, \"8\": -2000.0}",
    "\"notes\": \"\"",
);

struct Bench {
    folder: tempfile::TempDir,
    config: String,
}

impl Bench {
    /// A run of a structure file, whose name says its format, with lines under `[potential]`.
    fn new(name: &str, structure: &str, potential: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(name), structure).unwrap();
        let text = format!(
            "[system]\nstructure = \"{name}\"\nvelocities = \"zero\"\n[potential]\n{potential}\n\
             [dynamics]\nensemble = \"nve\"\ntimestep = \"0.2 fs\"\nsteps = 2\n\
             [monitor]\nforce = \"off\"\n[device]\nkind = \"cpu\"\n[output]\ndirectory = \"out\"\n"
        );
        let config = folder.path().join("run.toml");
        fs::write(&config, text).unwrap();
        let config = config.to_str().unwrap().to_owned();
        Self { folder, config }
    }

    /// What a run says on stderr, and whether it came to its end.
    fn run(&self) -> (String, bool) {
        let output = mdrun(&[&self.config, "--force"]);
        (
            String::from_utf8_lossy(&output.stderr).into_owned(),
            output.status.success(),
        )
    }

    fn check(&self, what: &str) -> Option<Value> {
        let output = mdrun(&["check", &self.config, "--json"]);
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        let rows = found["findings"].as_array().unwrap();
        rows.iter().find(|row| row["what"] == what).cloned()
    }
}

const WATER: &str = "3\n\nO 0 0 0\nH 0.96 0 0\nH -0.24 0.93 0\n";

#[test]
fn a_model_that_lists_no_elements_says_so_until_the_run_file_does() {
    let bench = Bench::new("water.xyz", WATER, "model = \"net.safetensors\"");
    model(&bench.folder.path().join("net.safetensors"), &[LISTED]);
    let (told, ended) = bench.run();
    assert!(ended, "{told}");
    assert!(
        told.contains("note: the model's file does not say which elements it was trained on"),
        "{told}"
    );
    let flat = told.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        flat.contains("[potential] elements = [\"H\", \"O\"] would say it"),
        "{told}"
    );
    let row = bench.check("trained on").unwrap();
    assert_eq!(row["verdict"], "look", "{row}");
    assert!(
        row["found"]
            .as_str()
            .unwrap()
            .contains("does not say which elements"),
        "{row}"
    );

    let stated = |list: &str, structure: &str| {
        let lines = format!("model = \"net.safetensors\"\nelements = {list}");
        let bench = Bench::new("start.xyz", structure, &lines);
        model(&bench.folder.path().join("net.safetensors"), &[LISTED]);
        bench
    };
    let bench = stated("[\"O\", \"H\"]", WATER);
    let (told, ended) = bench.run();
    assert!(ended && !told.contains("does not say"), "{told}");
    assert_eq!(bench.check("trained on").unwrap()["verdict"], "ok");
    let (told, ended) = stated("[\"H\", \"O\"]", "2\n\nC 0 0 0\nO 1.1 0 0\n").run();
    assert!(
        !ended && told.contains("the model does not know C"),
        "{told}"
    );
    let (told, ended) = stated("[\"H\", \"O\", \"Lr\"]", WATER).run();
    assert!(
        !ended && told.contains("potential.elements: the model does not know Lr"),
        "{told}"
    );
}

/// Stated elements take a model for some of those that it lists; its energies stay.
#[test]
fn stated_elements_are_among_those_that_are_listed() {
    let bench = Bench::new(
        "water.xyz",
        WATER,
        "model = \"net.safetensors\"\nelements = [\"H\", \"O\"]",
    );
    model(&bench.folder.path().join("net.safetensors"), &[]);
    assert!(bench.run().1);
    let energy = |bench: &Bench| {
        let thermo = fs::read_to_string(bench.folder.path().join("out/thermo.csv")).unwrap();
        thermo
            .lines()
            .find(|line| line.starts_with("0,"))
            .unwrap()
            .to_owned()
    };
    let plain = Bench::new("water.xyz", WATER, "model = \"net.safetensors\"");
    model(&plain.folder.path().join("net.safetensors"), &[]);
    assert!(plain.run().1);
    assert_eq!(energy(&bench), energy(&plain));
    let more = Bench::new(
        "water.xyz",
        WATER,
        "model = \"net.safetensors\"\nelements = [\"H\", \"O\", \"N\"]",
    );
    model(&more.folder.path().join("net.safetensors"), &[]);
    let (told, ended) = more.run();
    assert!(
        !ended && told.contains("the model does not know N; it knows H, C, O"),
        "{told}"
    );
}

/// A molecule of a molfile, with lines of properties.
fn molfile(atoms: &[(&str, [f64; 3])], properties: &str) -> String {
    let line = |(symbol, [x, y, z]): &(&str, [f64; 3])| {
        format!("{x:10.4}{y:10.4}{z:10.4} {symbol:<3} 0  0  0  0  0  0  0  0  0  0  0  0\n")
    };
    let lines: String = atoms.iter().map(line).collect();
    let count = atoms.len();
    format!(
        "x\n  mdrun   3D\n\n{count:3}  0  0  0  0  0  0  0  0  0999 V2000\n{lines}{properties}M  END\n"
    )
}

/// With the shipped model, which is for neutral molecules with closed shells: an ion, a radical by its mark, and radicals by
/// their electrons get a warning; a zwitterion and a bottle of water get none.
#[test]
fn ions_and_radicals_get_a_warning() {
    let shipped = "model = \"painn_hcno_gfn2\"";
    let ammonium = [
        ("N", [0.0, 0.0, 0.0]),
        ("H", [0.6, 0.6, 0.6]),
        ("H", [-0.6, -0.6, 0.6]),
        ("H", [-0.6, 0.6, -0.6]),
        ("H", [0.6, -0.6, -0.6]),
    ];
    let methylene = [
        ("C", [0.0; 3]),
        ("H", [1.0, 0.3, 0.0]),
        ("H", [-1.0, 0.3, 0.0]),
    ];
    let monoxide = [("C", [0.0; 3]), ("O", [1.13, 0.0, 0.0])];
    for (structure, says) in [
        (
            molfile(&ammonium, "M  CHG  1   1   1\n"),
            Some("has a charge (atom 0, H4N)"),
        ),
        (
            molfile(&ammonium, ""),
            Some("has an odd number of electrons (atom 0, H4N)"),
        ),
        (
            molfile(&methylene, "M  RAD  1   1   3\n"),
            Some("is marked as a radical (atom 0, CH2)"),
        ),
        (molfile(&methylene, ""), None),
        (molfile(&monoxide, "M  CHG  2   1  -1   2   1\n"), None),
    ] {
        let bench = Bench::new("start.mol", &structure, shipped);
        let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let told = flat(&bench.run().0);
        let path = bench.folder.path().join("start.mol");
        let single = mdrun(&[
            "energy",
            "--model",
            "painn_hcno_gfn2",
            "--structure",
            path.to_str().unwrap(),
            "--device",
            "cpu",
        ]);
        let single = flat(&String::from_utf8_lossy(&single.stderr));
        let row = bench.check("electrons").unwrap();
        match says {
            Some(says) => {
                for told in [&told, &single] {
                    assert!(
                        told.contains("warning: the model was trained on neutral structures with closed shells"),
                        "{told}"
                    );
                    assert!(told.contains(says), "{told}");
                }
                assert!(
                    row["verdict"] == "look" && row["found"].as_str().unwrap().contains(says),
                    "{row}"
                );
            }
            None => {
                assert!(
                    !told.contains("warning") && !single.contains("warning"),
                    "{told}{single}"
                );
                assert_eq!(row["verdict"], "ok");
            }
        }
    }
    let water = root().join("configs/structures/water64.xyz");
    let water = mdrun(&[
        "energy",
        "--model",
        "painn_hcno_gfn2",
        "--structure",
        water.to_str().unwrap(),
        "--device",
        "cpu",
    ]);
    assert!(!String::from_utf8_lossy(&water.stderr).contains("warning"));
}

/// What the shipped files say of themselves, and what a file may say.
#[test]
fn files_say_what_they_are_for() {
    for name in ["painn_hcno_gfn2", "painn_organic_gfn2"] {
        let bytes = fs::read(root().join(format!("models/{name}.safetensors"))).unwrap();
        let told = import_noted(&bytes, name).unwrap();
        let expected = TrainedOn {
            elements: true,
            charge: Some(0),
            spin: Some(1),
        };
        assert_eq!(told.trained_on, expected);
        assert!(told.notes.is_empty(), "{:?}", told.notes);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    let read = |more: &str| {
        model(
            &path,
            &[("\"cutoff_fn\"", &format!("{more}, \"cutoff_fn\""))],
        );
        import_noted(&fs::read(&path).unwrap(), "net").map(|model| model.trained_on)
    };
    let anion = read("\"charge\": -1, \"spin\": 2").unwrap();
    assert_eq!((anion.charge, anion.spin), (Some(-1), Some(2)));
    for (wrong, says) in [
        (
            "\"charge\": 0.5",
            "'charge' in the metadata must be a whole number from -1000 to 1000",
        ),
        (
            "\"spin\": 0",
            "'spin' in the metadata must be a whole number from 1 to 1000",
        ),
        (
            "\"spin\": \"singlet\"",
            "'spin' in the metadata must be a whole number",
        ),
    ] {
        let error = read(wrong).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    let info = mdrun(&["model", "info", "painn_hcno_gfn2", "--json"]);
    let info: Value = serde_json::from_slice(&info.stdout).unwrap();
    assert_eq!(
        (&info["charge"], &info["spin"]),
        (&Value::from(0), &Value::from(1))
    );
}

/// What a conversion is told of charge and spin is in the file, whatever the file was.
#[test]
fn a_conversion_keeps_what_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let [from, to] = ["net.safetensors", "out.safetensors"].map(|name| folder.path().join(name));
    model(&from, &[LISTED]);
    let [from, to] = [&from, &to].map(|path| path.to_str().unwrap());
    let said = [
        "model", "convert", from, to, "--charge", "-1", "--spin", "1",
    ];
    let asked = mdrun(&said);
    let error = String::from_utf8_lossy(&asked.stderr);
    assert_eq!(asked.status.code(), Some(2));
    assert!(
        error.contains("--charge -1 --spin 1 --elements LIST"),
        "{error}"
    );
    let output = mdrun(&[&said[..], &["--elements", "H,O"]].concat());
    assert!(output.status.success(), "{output:?}");
    let model = import_noted(&fs::read(to).unwrap(), "out").unwrap();
    let expected = TrainedOn {
        elements: true,
        charge: Some(-1),
        spin: Some(1),
    };
    assert_eq!(
        (model.trained_on, model.spec.elements),
        (expected, vec![1, 8])
    );
}
