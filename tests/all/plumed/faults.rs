//! What is wrong with PLUMED, its kernel or its input is told by name, and leaves nothing behind.

use std::fs;
use std::path::Path;

use super::{bench, compiled, kernel, plain, table};
use crate::restart::runs::{Bench, Dynamics, Subject, newest, status, stderr};
use crate::support::mdrun;

const WHAT: (Subject, Dynamics, u64) = (Subject::Argon, Dynamics::Nve, 30);
const SPRING: &str = "spring 1 2 0.4 100\n";

/// What a run says that does not begin, and leaves no directory.
fn refused(bench: &Bench) -> String {
    let run = bench.at("run");
    let output = bench
        .command(&run, &["-q"])
        .env_remove("PLUMED_KERNEL")
        .output()
        .unwrap();
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(!run.exists(), "{told}");
    told
}

#[track_caller]
fn says(told: &str, parts: &[&str]) {
    for part in parts {
        assert!(told.contains(part), "{part:?} is not in: {told}");
    }
}

#[test]
fn a_kernel_that_is_none_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.so");
    fs::write(&text, "no library\n").unwrap();
    let missing = folder.path().join("missing.so");
    for kernel in [&text, &missing] {
        let told = refused(&bench(kernel, SPRING, WHAT, ""));
        let name = kernel.display().to_string();
        says(
            &told,
            &[
                "run.toml:",
                "plumed.kernel",
                "cannot be loaded",
                &name,
                "PLUMED_KERNEL",
            ],
        );
    }
    let Some(other) = compiled("plumed_none.so", &["-DNO_KERNEL"]) else {
        return;
    };
    let told = refused(&bench(&other, SPRING, WHAT, ""));
    says(
        &told,
        &[
            "is no kernel of PLUMED 2.5 or later",
            "plumed_symbol_table_init",
        ],
    );
    let Some(old) = compiled("plumed_old.so", &["-DVERSION=1"]) else {
        return;
    };
    says(
        &refused(&bench(&old, SPRING, WHAT, "")),
        &["its table of functions is of version 1"],
    );
}

/// Neither the run file nor the environment names one, and the loader finds none.
#[test]
fn no_kernel_is_told() {
    let bench = plain(WHAT, "[plumed]\ninput = \"plumed.dat\"\n");
    fs::write(bench.at("plumed.dat"), SPRING).unwrap();
    let run = bench.at("run");
    let mut command = bench.command(&run, &["-q"]);
    let none = bench.at("none.so");
    let output = command.env("PLUMED_KERNEL", &none).output().unwrap();
    says(
        &stderr(&output),
        &[
            "plumed.input",
            "PLUMED_KERNEL",
            "none.so",
            "cannot be loaded",
        ],
    );
    assert!(!run.exists());
}

/// PLUMED's own words, with the place of the key.
#[test]
fn what_plumed_says_is_told() {
    let Some(kernel) = kernel() else {
        return;
    };
    let told = refused(&bench(
        &kernel,
        "spring 1 2 0.4 100\nsprnig 1 2\n",
        WHAT,
        "",
    ));
    says(
        &told,
        &[
            "run.toml:",
            "plumed.input",
            "PLUMED says: ERROR I cannot understand line: sprnig 1 2 Maybe a missing space",
        ],
    );
    // Files that it had opened before are its own.
    let late = bench(&kernel, "spring 1 2 0.4 100\nfail 0\n", WHAT, "");
    let output = late.run(&late.at("run"), &["-q"]);
    assert_eq!(output.status.code(), Some(2));
    says(
        &stderr(&output),
        &["plumed.input", "step 0", "the step that was to fail"],
    );
    assert!(!late.at("run/run.json").exists());
    let ended = bench(&kernel, "spring 1 2 0.4 100\nstop 0\n", WHAT, "");
    let output = ended.run(&ended.at("run"), &["-q"]);
    assert_eq!(output.status.code(), Some(2));
    says(
        &stderr(&output),
        &[
            "plumed.input",
            "PLUMED asks for the end before the first step",
        ],
    );
}

/// An error on the way ends the run; its last checkpoint is there, and what goes on from it comes to the same place.
#[test]
fn a_step_that_fails_ends_the_run() {
    let Some(kernel) = kernel() else {
        return;
    };
    let bench = bench(&kernel, "spring 1 2 0.4 100\nfail 18\n", WHAT, "");
    let run = bench.at("run");
    for mode in ["-q", "--resume"] {
        let output = bench.run(&run, &[mode]);
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        says(&told, &["step 18: PLUMED says: the step that was to fail"]);
        assert_eq!(status(&run), "failed");
        assert_eq!(newest(&run).step, 14);
    }
}

#[test]
fn an_input_that_is_not_there_is_told() {
    let bench = bench(Path::new("/none.so"), SPRING, WHAT, "");
    fs::remove_file(bench.at("plumed.dat")).unwrap();
    says(
        &refused(&bench),
        &["plumed.input", "plumed.dat cannot be read"],
    );
    let unnamed = plain(WHAT, "[plumed]\nkernel = \"/none.so\"\n");
    says(&refused(&unnamed), &["plumed.input: is missing"]);
    let misspelt = plain(WHAT, "[plumed]\nfile = \"a\"\n");
    says(&refused(&misspelt), &["file", "input"]);
}

/// Other input is another run.
#[test]
fn a_run_goes_on_with_its_own_input() {
    let Some(kernel) = kernel() else {
        return;
    };
    let bench = bench(&kernel, SPRING, WHAT, "");
    let run = bench.at("run");
    bench.complete(&run, &["--set", "dynamics.steps=10"]);
    fs::write(bench.at("plumed.dat"), "spring 1 2 0.5 100\n").unwrap();
    let output = bench.run(&run, &["--resume"]);
    assert_eq!(output.status.code(), Some(2));
    says(&stderr(&output), &["cannot be resumed", "plumed.input"]);
    fs::write(bench.at("plumed.dat"), SPRING).unwrap();
    bench.complete(&run, &["--resume"]);
}

/// What PLUMED does not go with is refused by name.
#[test]
fn what_it_does_not_go_with_is_refused() {
    let kernel = Path::new("/none.so");
    let with = |more: &str| bench(kernel, SPRING, WHAT, more);
    for (more, parts) in [
        (
            "[monitor]\nrecord = true\n",
            &["monitor.record", "PLUMED cannot go back"][..],
        ),
        (
            "[device]\nkind = \"cuda:0\"\n",
            &["plumed.input", "PLUMED acts on the processor alone"],
        ),
    ] {
        let one = with(more);
        // The run file has a [device] already.
        let text = fs::read_to_string(&one.config).unwrap();
        let own = "[device]\nkind = \"cpu\"\nthreads = 1\n";
        if more.contains("[device]") {
            fs::write(&one.config, text.replacen(own, "", 1)).unwrap();
        }
        says(&refused(&one), parts);
    }
    let audited = bench(
        kernel,
        SPRING,
        (Subject::Ethanol, Dynamics::Nve, 5),
        "[monitor]\nprecision = \"1 meV/A\"\n",
    );
    says(
        &refused(&audited),
        &["monitor.precision", "PLUMED adds to them"],
    );
    let many = with("");
    let run = many.at("run");
    let output = many.run(&run, &["--set", "system.replicas=3"]);
    says(
        &stderr(&output),
        &["plumed.input", "PLUMED is one for a run of one system"],
    );
    let slab = with("");
    let periodic = "system.periodic=[true,true,false]";
    let output = slab.run(&run, &["--set", periodic]);
    says(
        &stderr(&output),
        &["plumed.input", "periodic in all directions or in none"],
    );
    let config = many.config.display().to_string();
    let output = mdrun(&["validate", &config]);
    says(&stderr(&output), &["plumed.input", "take [plumed] out"]);
}

/// Other commands of a run with PLUMED: a check is of the system without it, a replay is refused.
#[test]
fn commands_of_a_run_with_plumed() {
    let Some(kernel) = kernel() else {
        return;
    };
    let bench = bench(&kernel, SPRING, WHAT, "");
    let run = bench.at("run");
    bench.complete(&run, &["-q"]);
    let (config, directory) = (
        bench.config.display().to_string(),
        run.display().to_string(),
    );
    for args in [
        &["check", &config][..],
        &["report", &directory],
        &["analyze", &directory, "--what", "thermo"],
    ] {
        let output = mdrun(args);
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    }
    let output = mdrun(&["diagnose", &directory]);
    says(&stderr(&output), &["PLUMED does not go back"]);
    assert_eq!(output.status.code(), Some(2));
    // The kernel's own line: once, from the run.
    assert_eq!(
        fs::read_to_string(run.join("TOLD"))
            .unwrap()
            .lines()
            .count(),
        1
    );
    assert!(table(&kernel).contains("kernel"));
}
