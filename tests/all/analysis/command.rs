//! `mdrun analyze` as a user types it: on runs of its own making, finished, cut short and without what is asked for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{mdrun, pty, root};

const DIMER: &str = r#"
[system]
structure = "dimer.xyz"
velocities = "zero"
masses = { Ar = "39.948 u" }
[potential.lennard_jones]
epsilon = "10 eV"
sigma = "3 A"
cutoff = "12 A"
[dynamics]
ensemble = "nve"
timestep = "1 fs"
duration = "40 ps"
[output]
directory = "run"
[[output.trajectory]]
format = "xyz"
every = 4
fields = ["velocities"]
"#;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn told(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

fn run(args: &[&str]) {
    let output = mdrun(args);
    assert!(output.status.success(), "{}", told(&output));
}

/// The figures of `mdrun analyze`, as JSON.
fn analyze(directory: &Path, more: &[&str]) -> Value {
    let output = mdrun(&[&["analyze", text(directory), "--json"], more].concat());
    assert!(output.status.success(), "{}", told(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The error of `mdrun analyze`.
fn refused(directory: &Path, more: &[&str]) -> String {
    let output = mdrun(&[&["analyze", text(directory)], more].concat());
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert!(output.stdout.is_empty());
    told(&output)
}

/// A short run of liquid argon, with trajectories (TOML), in a folder.
fn argon(folder: &TempDir, steps: u64, trajectories: &str) -> PathBuf {
    let out = folder.path().join("run");
    run(&[
        "configs/argon_nve.toml",
        "--set",
        &format!("dynamics.duration=\"{} fs\"", 4 * steps),
        "--set",
        &format!("output.trajectory=[{trajectories}]"),
        "--set",
        "device.kind=\"cpu\"",
        "--out",
        text(&out),
        "-q",
    ]);
    out
}

const MOVING: &str = "{ format = \"xyz\", every = 2, fields = [\"velocities\"] }";
const WRAPPED: &str = "{ format = \"dcd\", every = 2, wrap = true }";

/// Rows of a table that was written, without the names of its columns.
fn rows(path: &Path) -> Vec<Vec<f64>> {
    let text = fs::read_to_string(path).unwrap();
    let row = |line: &str| {
        line.split(',')
            .map(|cell| cell.parse().unwrap_or(f64::NAN))
            .collect()
    };
    text.lines().skip(1).map(row).collect()
}

/// Two atoms near the bottom of a Lennard-Jones well swing with the frequency that its second derivative says, 72 epsilon / (2^(1/3)
/// sigma^2), as velocity Verlet's steps have it: 2 / dt asin(omega dt / 2).
#[test]
fn a_dimer_has_its_exact_line() {
    let folder = TempDir::new().unwrap();
    let bottom = 3.0 * 2_f64.powf(1.0 / 6.0);
    // 0.002 A of stretch: the well is harmonic to 1e-5.
    let atoms = format!("2\n\nAr 0 0 0\nAr {} 0 0\n", bottom + 0.002);
    fs::write(folder.path().join("dimer.xyz"), atoms).unwrap();
    let file = folder.path().join("dimer.toml");
    fs::write(&file, DIMER).unwrap();
    run(&[text(&file), "-q", "--set", "device.kind=\"cpu\""]);
    let found = analyze(
        &folder.path().join("run"),
        &["--what", "spectrum,vacf,msd,rdf"],
    );
    let spectrum = &found["findings"]["spectrum"];
    // SI units, by CODATA 2022.
    let (ev, u) = (1.602176634e-19, 1.66053906892e-27);
    let stiffness = 72.0 * 10.0 * ev / 2_f64.cbrt() / 3e-10_f64.powi(2);
    let omega = (stiffness / (0.5 * 39.948 * u)).sqrt();
    let discrete = 2.0 / 1e-15 * (0.5 * omega * 1e-15).asin();
    let line = discrete / (2.0 * std::f64::consts::PI) / 2.99792458e10;
    let peaks = spectrum["peaks_per_cm"].as_array().unwrap();
    assert_eq!(peaks.len(), 1, "{spectrum}");
    let off = peaks[0].as_f64().unwrap() - line;
    // A twentieth of the resolution; that of the step's own frequency is ten times as much away.
    let resolution = spectrum["resolution_per_cm"].as_f64().unwrap();
    assert!(
        off.abs() < 0.05 * resolution,
        "{peaks:?}, not {line}; resolution {resolution}"
    );
    assert!(spectrum["degrees_of_freedom"] == 1.0, "{spectrum}");
    let table = rows(&folder.path().join("run/analysis/spectrum.csv"));
    let width = table[1][0] - table[0][0];
    let integral = width * table.iter().map(|row| row[1]).sum::<f64>();
    assert!((integral - 1.0).abs() < 1e-9, "{integral}");
}

/// Everything of a liquid: all files are there, the page fetches nothing, lines fit a terminal; molecules that were moved into the cell
/// make no difference.
#[test]
fn a_liquid_is_analysed_whole() {
    let folder = TempDir::new().unwrap();
    let out = argon(&folder, 400, &[MOVING, WRAPPED].join(","));
    let mut command = Command::new(env!("CARGO_BIN_EXE_mdrun"));
    command.args(["analyze", text(&out), "--html"]);
    let (status, said) = pty::run(command, 80);
    assert!(status.success(), "{said}");
    // A bar is drawn anew over itself.
    let lines = said
        .split(['\n', '\r'])
        .filter(|line| !line.contains('\x1b'));
    for line in lines {
        assert!(line.trim_end().chars().count() <= 80, "{line}");
    }
    for word in ["Radial distribution", "Density profiles", "(spectrum)"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let figures = &analyze(&out, &["--what", "rdf,density"])["findings"];
    // A crystal of 256 atoms, whose neighbours begin at 4.09 A, on its way into a liquid's, at 3.7 A: some twelve of them.
    let shell = &figures["rdf"]["pairs"][0];
    let number = |key: &str| shell[key].as_f64().unwrap();
    assert!((3.6..4.2).contains(&number("peak_angstrom")), "{shell}");
    assert!((11.0..14.0).contains(&number("neighbors")), "{shell}");
    // Rahman's density, from masses in g and lengths in cm.
    let density = 256.0 * 39.948 * 1.66053906892e-24 / 23.120601e-8_f64.powi(3);
    let found = figures["density"]["mean_g_cm3"].as_f64().unwrap();
    assert!(
        (found / density - 1.0).abs() < 1e-7,
        "{found} is not {density}"
    );
    let files = out.join("analysis");
    for name in ["rdf", "msd", "vacf", "spectrum", "density", "thermo"] {
        assert!(rows(&files.join(format!("{name}.csv"))).len() > 5, "{name}");
    }
    for name in ["rdf", "msd", "vacf", "spectrum", "density"] {
        let svg = fs::read_to_string(files.join(format!("{name}.svg"))).unwrap();
        roxmltree::Document::parse(&svg).unwrap_or_else(|e| panic!("{name}.svg: {e}"));
        assert!(svg.contains("class=\"line"), "{name}");
    }
    let page = fs::read_to_string(files.join("analysis.html")).unwrap();
    for word in ["http:", "https:", "src=", "<script", "NaN"] {
        assert!(
            !page
                .replace("http://www.w3.org/2000/svg", "")
                .contains(word),
            "{word}"
        );
    }
    assert_eq!(
        page.matches("<svg ").count(),
        page.matches("</svg>").count()
    );
    // What does not apply is told, and is no error.
    let output = mdrun(&["analyze", text(&out), "--html"]);
    let notes = told(&output);
    assert!(notes.contains("there are no bonds"), "{notes}");
    assert!(!files.join("bonds.csv").exists());
    let moved = folder.path().join("moved");
    analyze(
        &out,
        &[
            "--what",
            "msd",
            "--trajectory",
            "traj.dcd",
            "--out",
            text(&moved),
        ],
    );
    let (own, wrapped) = (rows(&files.join("msd.csv")), rows(&moved.join("msd.csv")));
    assert_eq!(own.len(), wrapped.len());
    for (own, wrapped) in own.iter().zip(&wrapped) {
        // Positions of 23 A in f32: 1e-6 A of displacements of 0.01 A and more.
        assert!(
            (own[2] - wrapped[2]).abs() < 1e-3 * own[2],
            "{own:?} {wrapped:?}"
        );
    }
}

/// Times choose frames, and strides thin them out.
#[test]
fn frames_are_chosen_by_time() {
    let folder = TempDir::new().unwrap();
    let out = argon(&folder, 200, MOVING);
    let looked = |more: &[&str]| {
        let found = analyze(&out, &[&["--what", "rdf"], more].concat());
        found["looked_at"][0].as_str().unwrap().to_owned()
    };
    assert_eq!(looked(&[]), "traj.xyz: 101 frames from 0 to 0.800000 ps");
    assert_eq!(
        looked(&["--from", "400fs"]),
        "traj.xyz: 51 frames from 0.400000 to 0.800000 ps"
    );
    assert_eq!(
        looked(&["--to", "80 fs"]),
        "traj.xyz: 11 frames from 0 to 0.0800000 ps"
    );
    assert_eq!(
        looked(&["--every", "10"]),
        "traj.xyz: 11 frames from 0 to 0.800000 ps"
    );
    assert!(refused(&out, &["--from", "1 ns"]).contains("between --from and --to"));
    // More frames than there are, so many that their steps are no number any more: the first alone.
    let first = looked(&["--every", "4611686018427387904"]);
    assert!(first.starts_with("traj.xyz: 1 frame"), "{first}");
    // Displacements of every second frame are those of every second lag.
    let at = |folder: &str| rows(&out.join(folder).join("msd.csv"));
    analyze(&out, &["--what", "msd"]);
    let all = at("analysis");
    analyze(
        &out,
        &[
            "--what",
            "msd",
            "--every",
            "2",
            "--out",
            text(&out.join("second")),
        ],
    );
    let second = at("second");
    assert!((all[1][0] - second[0][0]).abs() < 1e-9);
    assert!((all[1][2] / second[0][2] - 1.0).abs() < 0.05);
}

/// Of many systems one is looked at, as it is where it runs alone.
#[test]
fn a_member_of_many_systems_is_analysed() {
    let folder = TempDir::new().unwrap();
    let settings = [
        "dynamics.steps=200",
        "system.replicas=3",
        "device.kind=cpu",
        "output.trajectory=[{format=\"xyz\",every=4,fields=[\"velocities\"]}]",
    ];
    let settings: Vec<&str> = settings.iter().flat_map(|one| ["--set", one]).collect();
    let [batch, alone] = ["batch", "alone"].map(|name| folder.path().join(name));
    let base = ["configs/conformers.toml", "-q"];
    run(&[&base[..], &settings, &["--out", text(&batch)]].concat());
    run(&[
        &base[..],
        &settings,
        &["--member", "1", "--out", text(&alone)],
    ]
    .concat());
    let what = ["--what", "msd,bonds,spectrum"];
    let own = [&what[..], &["--member", "1"]].concat();
    let [found, wanted] = [analyze(&batch, &own), analyze(&alone, &what)];
    assert_eq!(found["findings"], wanted["findings"]);
    assert!(batch.join("members/0001/analysis/msd.csv").is_file());
    assert!(refused(&batch, &what).contains("--member K"));
    assert!(refused(&batch, &["--member", "3"]).contains("0 to 2"));
    assert!(refused(&batch, &["--member", "1", "--what", "thermo"]).contains("all members"));
    assert!(refused(&alone, &["--member", "1"]).contains("one system"));
}

/// What is missing is said, with what to set or to type.
#[test]
fn what_is_missing_is_said() {
    let folder = TempDir::new().unwrap();
    let out = argon(&folder, 20, WRAPPED);
    let says = |more: &[&str], words: &[&str]| {
        let error = refused(&out, more);
        assert!(
            words.iter().all(|word| error.contains(word)),
            "{words:?}: {error}"
        );
    };
    says(
        &["--what", "spectrum"],
        &["no velocities", "fields = [\"velocities\"]"],
    );
    says(
        &["--what", "vacf", "--trajectory", "traj.dcd"],
        &["no velocities", "fields"],
    );
    says(
        &["--select", "Xe"],
        &["there is no Xe in this run; it has Ar"],
    );
    says(&["--select", "256"], &["atoms are 0 to 255"]);
    says(
        &["--trajectory", "traj.xtc"],
        &["no trajectory \"traj.xtc\"; it has traj.dcd"],
    );
    says(&["--what", "hbonds"], &["hydrogen to give"]);
    says(&["--what", "rdf", "--range", "30 A"], &["images"]);
    says(&["--fit", "5ps"], &["two times are wanted"]);
    says(&["--viscosity", "1"], &["0.85mPa*s"]);
    assert!(refused(folder.path(), &[]).contains("run.json"));
    assert!(
        !out.join("analysis").exists(),
        "nothing is written where nothing was found"
    );
    let bare = TempDir::new().unwrap();
    let none = argon(&bare, 20, "");
    assert!(refused(&none, &["--what", "rdf"]).contains("[[output.trajectory]]"));
    // The thermo table alone is there.
    let found = analyze(&none, &[]);
    assert!(
        found["findings"]["thermo"]["columns"]
            .as_array()
            .unwrap()
            .len()
            > 4,
        "{found}"
    );
}

/// A run that is going on, or was killed: what is whole of its files is read, and what is not is told.
#[test]
fn a_run_that_was_killed_is_read_as_far_as_it_is_whole() {
    let folder = TempDir::new().unwrap();
    let out = argon(&folder, 40, MOVING);
    let cut = |name: &str, less: u64| {
        let file = fs::File::options()
            .write(true)
            .open(out.join(name))
            .unwrap();
        let length = file.metadata().unwrap().len();
        file.set_len(length - less).unwrap();
    };
    cut("traj.xyz", 100);
    cut("thermo.csv", 5);
    for name in ["state.ckpt", "final.xyz"] {
        fs::remove_file(out.join(name)).unwrap();
    }
    let record = fs::read_to_string(out.join("run.json")).unwrap();
    let record = record.replace("\"status\": \"complete\"", "\"status\": \"running\"");
    fs::write(out.join("run.json"), record).unwrap();
    let found = analyze(&out, &["--what", "rdf,thermo,spectrum"]);
    assert!(
        found["looked_at"].to_string().contains("20 frames"),
        "{found}"
    );
    assert!(
        found["notes"].to_string().contains("ends within a frame"),
        "{found}"
    );
    let thermo = &found["findings"]["thermo"];
    assert!(
        thermo["notes"]
            .to_string()
            .contains("last line is not whole"),
        "{thermo}"
    );
}

/// A trajectory (100 MB) of many frames of the same atoms, beside the record of a short run.
fn long_trajectory(out: &Path, megabytes: u64) {
    let path = out.join("traj.xyz");
    let once = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = once.lines().collect();
    let frame = &lines[..258];
    let mut file = std::io::BufWriter::new(fs::File::create(&path).unwrap());
    let (mut written, mut step) = (0, 0);
    while written < megabytes << 20 {
        let comment = frame[1].replace("step=0 ", &format!("step={step} "));
        let text = format!("{}\n{comment}\n{}\n", frame[0], frame[2..].join("\n"));
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        written += text.len() as u64;
        step += 2;
    }
}

/// The most memory (kB) that an analysis held.
fn most_memory(out: &Path) -> u64 {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mdrun"))
        .args(["analyze", text(out), "--resolution", "20", "--json"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let held = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
        most = most.max(held.unwrap_or(0));
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(child.wait().unwrap().success());
    most
}

/// Memory does not grow with the trajectory: one of 160 MB takes what one of 40 MB takes, but for levels of lags, of which each doubling
/// brings one (128 frames of 256 atoms, 0.8 MB). Ctrl-C ends it, and leaves nothing.
#[test]
fn memory_does_not_grow_with_the_trajectory() {
    if std::env::var_os("MDRUN_VALIDATE").is_none() {
        eprintln!("skipped: set MDRUN_VALIDATE=1 to read trajectories of 160 MB");
        return;
    }
    /// Two levels of lags with their sums, and what the allocator keeps (kB).
    const GROWTH: u64 = 8 << 10;
    let folder = TempDir::new().unwrap();
    let out = argon(&folder, 20, MOVING);
    let first = fs::read(out.join("traj.xyz")).unwrap();
    long_trajectory(&out, 40);
    let small = most_memory(&out);
    fs::write(out.join("traj.xyz"), &first).unwrap();
    long_trajectory(&out, 160);
    let large = most_memory(&out);
    println!("most memory: {small} kB of 40 MB, {large} kB of 160 MB");
    assert!(
        small > 0 && large < small + GROWTH,
        "{small} kB, {large} kB"
    );
    fs::remove_dir_all(out.join("analysis")).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_mdrun"))
        .args(["analyze", text(&out)])
        .current_dir(root())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(1000));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", told(&output));
    assert!(
        told(&output).contains("nothing was written"),
        "{}",
        told(&output)
    );
    assert!(!out.join("analysis").exists());
}
