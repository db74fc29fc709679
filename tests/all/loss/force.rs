//! `--force`: the run before is there until the new one has come to its first step, whatever fails.

use std::fs;
use std::path::Path;

use mdrun::report::names;

use super::{argon, contents, in_own_namespace};
use crate::restart::runs::{Bench, status, stderr};

/// What stands in the way of setting a run aside is refused by name, and nothing is touched.
#[test]
fn a_run_that_cannot_be_set_aside_stays() {
    let bench = argon(20);
    let run = bench.at("run");
    bench.complete(&run, &["-q"]);
    for name in [".replacing", ".replaced", ".removed"] {
        for folder in [false, true] {
            let path = run.join(name);
            if folder {
                fs::create_dir(&path).unwrap();
                fs::write(path.join("notes.txt"), "mine").unwrap();
            } else {
                fs::write(&path, "mine").unwrap();
            }
            let before = contents(&run);
            let output = bench.run(&run, &["--force"]);
            let message = stderr(&output);
            assert_eq!(output.status.code(), Some(2), "{message}");
            assert!(message.contains(name), "{message}");
            assert_eq!(contents(&run), before, "{name}");
            match folder {
                true => fs::remove_dir_all(&path).unwrap(),
                false => fs::remove_file(&path).unwrap(),
            }
        }
    }
    bench.complete(&run, &["-q", "--force"]);
}

/// Disks without room for the folder that the old run waits in: out of inodes, and out of blocks.
#[test]
fn a_full_disk_does_not_cost_the_run_before() {
    let bench = argon(20);
    let out_of_inodes = "
        mkdir $3/t; mount -t tmpfs -o size=4m,nr_inodes=14 tmpfs $3/t || exit 99
        \"$1\" \"$2\" --out $3/t/run -q || exit 98
        cp -a $3/t/run $3/before
        i=0; while touch $3/t/fill$i 2>/dev/null; do i=$((i+1)); done; rm $3/t/fill0
        \"$1\" \"$2\" --out $3/t/run --force; echo \"code $?\"
        cp -a $3/t/run $3/after";
    let out_of_blocks = "
        dd if=/dev/zero of=$3/image bs=1k count=900 status=none
        mke2fs -q -t ext2 -b 1024 -N 64 $3/image || exit 99
        mkdir $3/t; mount -o loop $3/image $3/t || exit 99
        \"$1\" \"$2\" --out $3/t/run -q || exit 98
        cp -a $3/t/run $3/before
        dd if=/dev/zero of=$3/t/big bs=1k status=none 2>/dev/null
        \"$1\" \"$2\" --out $3/t/run --force; echo \"code $?\"
        cp -a $3/t/run $3/after";
    for script in [out_of_inodes, out_of_blocks] {
        let Some(output) = in_own_namespace(&bench, script) else {
            return;
        };
        let told = format!("{output:?}");
        assert_eq!(output.stdout, b"code 2\n", "{told}");
        assert!(stderr(&output).contains("cannot replace the run"), "{told}");
        let (before, after) = (bench.at("before"), bench.at("after"));
        assert_eq!(contents(&after), contents(&before), "{told}");
        for folder in ["before", "after", "t"] {
            fs::remove_dir_all(bench.at(folder)).unwrap();
        }
    }
}

/// A run that fails before its first step leaves nothing, and the run that it was to replace as it was.
#[test]
fn a_run_that_fails_before_its_first_step_leaves_nothing() {
    let bench = argon(20);
    let hot = ["--set", "monitor.temperature=\"1 K\""];
    let fails = |run: &Path, more: &[&str]| {
        let output = bench.run(run, &[&hot, more].concat());
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains("over the limit"), "{message}");
    };
    let new = bench.at("a/new");
    fails(&new, &[]);
    assert!(!bench.at("a").exists(), "a directory is left");
    let run = bench.at("run");
    bench.complete(&run, &["-q"]);
    let before = contents(&run);
    fails(&run, &["--force"]);
    assert_eq!(contents(&run), before);
    bench.complete(&run, &["-q", "--force"]);
}

/// Killed while it starts over another run, `--force` leaves one of the two.
#[test]
fn a_forced_run_that_is_killed_leaves_one_of_the_two() {
    let (old, new) = (argon(20), argon(40));
    let run = old.at("run");
    for micros in (0..40).map(|k| 2_000 * k) {
        let _ = fs::remove_dir_all(&run);
        old.complete(&run, &["-q"]);
        let before = contents(&run);
        let mut child = new.start(&run, &["--force", "-q"]);
        std::thread::sleep(std::time::Duration::from_micros(micros));
        child.kill().unwrap();
        child.wait().unwrap();
        // Whoever comes next puts things right: here one that is refused.
        let refused = old.run(&run, &["-q"]);
        if is_replaced(&run, &before) {
            // Killed between two renames, it has the previous checkpoint alone.
            let kept = [names::NEWEST, names::PREVIOUS].map(|name| run.join(name).exists());
            assert!(kept.contains(&true), "{}", stderr(&refused));
            new.complete(&run, &["--resume", "-q"]);
        } else {
            assert_eq!(refused.status.code(), Some(2));
            assert_eq!(contents(&run), before);
        }
    }
}

fn is_replaced(run: &Path, before: &[(String, Vec<u8>)]) -> bool {
    let old = before.iter().find(|(name, _)| name == "run.json").unwrap();
    fs::read(run.join("run.json")).unwrap() != old.1
}

/// A run that was replaced is gone for good, and the new one is what is there.
#[test]
fn a_run_that_was_replaced_leaves_nothing() {
    let bench: Bench = argon(20);
    let run = bench.at("run");
    bench.complete(&run, &["-q"]);
    fs::write(run.join("traj_7.dcd"), "of the run before").unwrap();
    fs::write(run.join("notes.txt"), "mine").unwrap();
    bench.complete(&run, &["-q", "--force"]);
    let names: Vec<String> = contents(&run).into_iter().map(|(name, _)| name).collect();
    assert!(!names.contains(&"traj_7.dcd".to_owned()), "{names:?}");
    assert!(names.contains(&"notes.txt".to_owned()), "{names:?}");
    assert!(!names.iter().any(|name| name.starts_with('.')), "{names:?}");
    assert_eq!(status(&run), "complete");
}
