//! Runs of the program: each leaves its page, however it ends, and none fails for it.

use std::fs;
use std::path::Path;
use std::process::Output;

use tempfile::TempDir;

use super::made::{PLOT, check, page_of, titles};
use crate::restart::runs::{Bench, Dynamics, Subject, assert_same, hashes, record, stderr};
use crate::support::mdrun;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn good(output: &Output) {
    assert!(output.status.success(), "{}", stderr(output));
}

/// A short run of a shipped file.
fn run(config: &str, settings: &[&str], out: &Path) -> Output {
    let settings = settings.iter().flat_map(|setting| ["--set", setting]);
    let settings: Vec<&str> = settings.collect();
    let base = [config, "--out", text(out), "-q", "--set", "device.kind=cpu"];
    mdrun(&[&base[..], &settings].concat())
}

#[test]
fn a_run_leaves_its_page() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("run");
    good(&run(
        "configs/ethanol_langevin.toml",
        &["dynamics.steps=2000"],
        &out,
    ));
    let page = page_of(&out);
    check(&page);
    assert!(page.matches(PLOT).count() >= 5, "{:?}", titles(&page));
    for words in [
        "<title>Run run</title>",
        "Complete: 2000 steps.",
        "C2H6O: 9 atoms, LANGEVIN",
        "Distribution of the kinetic energy",
        "First state (topology.pdb)",
        "Last state (final.xyz)",
        "painn_hcno_gfn2",
        "ensemble = &quot;langevin&quot;",
        "meV/atom/ps",
    ] {
        assert!(page.contains(words), "{words}: {:?}", titles(&page));
    }
    assert_eq!(page.matches("data-bonds=\"8\"").count(), 2);
    // It is made again as it was.
    fs::remove_file(out.join("report.html")).unwrap();
    let made = mdrun(&["report", text(&out)]);
    good(&made);
    assert_eq!(
        String::from_utf8(made.stdout).unwrap().trim(),
        text(&out.join("report.html"))
    );
    assert_eq!(page_of(&out), page);
}

#[test]
fn the_page_may_be_left_out() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("run");
    let settings = ["dynamics.steps=20", "output.report=false"];
    good(&run("configs/argon_nve.toml", &settings, &out));
    assert!(!out.join("report.html").exists());
    good(&mdrun(&["report", text(&out)]));
    check(&page_of(&out));
}

/// A run that was killed and gone on with has its page too, with the warning of it, and outputs to the byte as undisturbed.
#[test]
fn a_run_that_was_killed_and_gone_on_with_has_its_page() {
    let bench = Bench::new(Subject::Argon, Dynamics::Langevin, 400, "");
    let (whole, run) = (bench.at("whole"), bench.at("run"));
    bench.complete(&whole, &["-q"]);
    check(&page_of(&whole));
    let mut child = bench.start(&run, &["-q"]);
    while !run.join("state_prev.ckpt").exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    child.kill().unwrap();
    let killed = child.wait().unwrap().code().is_none();
    assert_eq!(run.join("report.html").exists(), !killed);
    bench.complete(&run, &["--resume"]);
    assert_same(&run, &hashes(&whole), "gone on with");
    let page = page_of(&run);
    check(&page);
    let pace = &record(&run)["pace"]["steps"];
    let steps: Vec<u64> = serde_json::from_value(pace.clone()).unwrap();
    assert!(
        !steps.is_empty() && steps.is_sorted_by(|a, b| a < b) && steps.iter().all(|s| *s <= 400),
        "{steps:?}"
    );
    if killed {
        assert!(page.contains("gone on with from step "));
        assert!(page.contains("note: resumed from step "));
    }
}

#[test]
fn a_broken_limit_has_its_page() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("run");
    let settings = ["dynamics.steps=2000", "monitor.temperature=310 K"];
    let output = run("configs/ethanol_langevin.toml", &settings, &out);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let page = page_of(&out);
    check(&page);
    for words in [
        "Stopped after ",
        "Stopped by: ",
        "Last step before the end, ",
        "(flight.xyz)",
    ] {
        assert!(page.contains(words), "{words}: {:?}", titles(&page));
    }
    assert_eq!(page.matches("data-bonds=").count(), 2);
    // The reason is told once.
    assert_eq!(page.matches("over the limit of 310.0 K").count(), 1);
    // So short a run does not tell how wide its distribution is.
    assert!(page.contains("too short for its width to be judged"));
}

/// What stands in the page's way is left alone: the run is complete, and says once what to type.
#[test]
fn a_page_that_cannot_be_written_fails_no_run() {
    let bench = Bench::new(Subject::Argon, Dynamics::Nve, 20, "");
    let run = bench.at("run");
    bench.complete(&run, &["-q", "--set", "dynamics.steps=10"]);
    let path = run.join("report.html");
    fs::write(&path, "mine").unwrap();
    let output = bench.complete(&run, &["-q", "--resume"]);
    let told = stderr(&output);
    assert_eq!(told.matches("warning: ").count(), 1, "{told}");
    assert!(
        told.contains("report.html is there already") && told.contains("mdrun report "),
        "{told}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    // So does the command that makes it again, with an error.
    let made = mdrun(&["report", text(&run)]);
    assert_eq!(made.status.code(), Some(2));
    assert!(stderr(&made).contains("--out"), "{}", stderr(&made));
    let other = bench.at("other.html");
    good(&mdrun(&["report", text(&run), "--out", text(&other)]));
    // A page of its own is replaced, also where it is asked for by name; and by --force, with the run.
    good(&mdrun(&["report", text(&run), "--out", text(&other)]));
    check(&fs::read_to_string(&other).unwrap());
    bench.complete(&run, &["-q", "--force"]);
    check(&page_of(&run));
}

#[test]
fn what_is_no_run_is_told() {
    let folder = TempDir::new().unwrap();
    let refused = |args: &[&str]| {
        let output = mdrun(&[&["report"], args].concat());
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        stderr(&output)
    };
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let told = refused(&[text(&empty)]);
    assert!(
        told.contains("run.json") && told.contains("mdrun report RUN_DIR"),
        "{told}"
    );
    let nowhere = folder.path().join("nowhere");
    let told = refused(&[text(&nowhere)]);
    assert!(told.contains("nowhere is not there"), "{told}");
    fs::write(empty.join("validation.json"), "{}").unwrap();
    let told = refused(&[text(&empty)]);
    assert!(told.contains("the folder of a validation"), "{told}");
    fs::write(empty.join("run.json"), "{").unwrap();
    assert!(refused(&[text(&empty)]).contains("run.json"));
    fs::write(empty.join("run.json"), "{\"members\": 4, \"config\": {}}").unwrap();
    assert!(refused(&[text(&empty), text(&empty)]).contains("--member K"));
    let out = folder.path().join("run");
    let second = folder.path().join("second");
    for out in [&out, &second] {
        good(&run("configs/argon_nve.toml", &["dynamics.steps=20"], out));
    }
    let told = refused(&[text(folder.path())]);
    assert!(
        told.contains("runs are in ") && told.contains("second"),
        "{told}"
    );
    let told = refused(&[text(&out), text(&second)]);
    assert!(told.contains("--out runs.html"), "{told}");
    // Beside itself a run shows nothing, by whatever path.
    let again = second.join("..").join("run");
    let told = refused(&[
        text(&out),
        text(&second),
        text(&again),
        "--out",
        "both.html",
    ]);
    assert!(told.contains("is the same run as"), "{told}");
    let pages = folder.path().join("pages.html");
    good(&mdrun(&[
        "report",
        text(&out),
        text(&second),
        "--out",
        text(&pages),
    ]));
    let page = fs::read_to_string(&pages).unwrap();
    check(&page);
    assert!(page.contains("2 runs side by side"));
    let many = vec![text(&out); 17];
    let told = refused(&[&many[..], &["--out", text(&pages)]].concat());
    assert!(told.contains("16 at most"), "{told}");
}

/// Many systems at once have one page: a table of the members, and their temperatures and drifts.
#[test]
fn many_systems_have_one_page() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("run");
    let settings = ["dynamics.steps=400", "output.trajectory=[]"];
    good(&run("configs/conformers.toml", &settings, &out));
    let page = page_of(&out);
    check(&page);
    assert_eq!(page.matches(PLOT).count(), 2, "{:?}", titles(&page));
    assert_eq!(page.matches("<td>complete</td>").count(), 16);
    for words in [
        "<title>Run run, 16 systems</title>",
        "members whose energy is conserved",
        "[&quot;300 K&quot;",
    ] {
        assert!(page.contains(words), "{words}");
    }
    fs::write(out.join("members.csv"), "index\n0,1\n").unwrap();
    let made = mdrun(&["report", text(&out)]);
    good(&made);
    assert!(
        stderr(&made).contains("members.csv: line 2 has 2 cells"),
        "{}",
        stderr(&made)
    );
    assert!(page_of(&out).contains("members.csv: line 2"));
}
