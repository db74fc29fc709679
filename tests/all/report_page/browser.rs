//! Pages as a browser shows them: headless Chromium lays out every plot and picture, tells no error, and fetches nothing.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use mdrun::overview::{RunOverview, beside};

use super::made::{MadeRun, page_of};
use crate::restart::runs::stderr;
use crate::support::mdrun;

/// Leaves in the page what the browser has made of it: the sizes of its drawings, how many of these are empty, what it fetched.
const LOOK: &str = "<script>\n\
    const boxes = [...document.querySelectorAll('svg')].map(svg => svg.getBoundingClientRect());\n\
    const parts = [...document.querySelectorAll('svg')].map(svg => svg.querySelectorAll('path,use,circle').length);\n\
    const small = boxes.filter(box => box.width < 200 || box.height < 60).length;\n\
    const wide = document.documentElement.scrollWidth > window.innerWidth;\n\
    const fetched = performance.getEntriesByType('resource').length;\n\
    document.body.dataset.found = [boxes.length, small, Math.min(...parts), fetched, wide].join(' ');\n\
    </script>\n</body>";

/// Whether Chromium is there; says why a test is skipped where it is not.
fn chromium() -> bool {
    if Command::new("chromium").arg("--version").output().is_ok() {
        return true;
    }
    let required = std::env::var_os("MDRUN_REQUIRE_CHROMIUM").is_some();
    assert!(
        !required,
        "there is no chromium on the PATH, and MDRUN_REQUIRE_CHROMIUM is set"
    );
    eprintln!("skipped: there is no chromium on the PATH; on Debian: apt-get install chromium");
    false
}

/// What Chromium finds in a page: drawings, how many of them are too small, the fewest parts of one, what was fetched, and
/// whether the page is wider than its window.
fn look(folder: &Path, page: &str) -> (Vec<u64>, bool) {
    let path = folder.join("looked_at.html");
    fs::write(&path, page.replace("</body>", LOOK)).unwrap();
    let output = Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
        ])
        .arg(format!(
            "--user-data-dir={}",
            folder.join("profile").display()
        ))
        .args([
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--enable-logging=stderr",
        ])
        .args(["--window-size=1200,900", "--dump-dom"])
        .arg(format!("file://{}", path.display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let dom = String::from_utf8(output.stdout).unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    // What the page itself says goes to the console.
    assert!(!log.contains(":CONSOLE"), "{log}");
    let (_, found) = dom.split_once("data-found=\"").unwrap();
    let found: Vec<&str> = found.split('"').next().unwrap().split(' ').collect();
    let numbers = found[..4].iter().map(|n| n.parse().unwrap()).collect();
    (numbers, found[4] == "true")
}

#[test]
fn a_browser_shows_pages_without_a_fault() {
    if !chromium() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("run");
    let output = mdrun(&[
        "configs/ethanol_nve.toml",
        "--set",
        "dynamics.steps=1000",
        "--set",
        "device.kind=cpu",
        "--set",
        "output.trajectory=[{ format = \"xyz\", every = 20 }]",
        "--out",
        out.to_str().unwrap(),
        "-q",
    ]);
    assert!(output.status.success(), "{}", stderr(&output));
    let analyzed = mdrun(&["analyze", out.to_str().unwrap(), "--html", "--json"]);
    assert!(analyzed.status.success(), "{}", stderr(&analyzed));
    let made = |thermostat, atoms| MadeRun {
        lines: 2000,
        atoms,
        thermostat,
    };
    let folders = [made(true, 30).write(), made(false, 10_000).write()];
    let runs: Vec<RunOverview> = (folders.iter())
        .map(|folder| RunOverview::read(folder.path()).unwrap())
        .collect();
    let analysis = fs::read_to_string(out.join("analysis/analysis.html")).unwrap();
    for (name, page, drawings) in [
        ("run", page_of(&out), 6),
        ("large", runs[1].html(&runs[1].states()), 7),
        ("beside", beside::html(&runs), 6),
        ("analysis", analysis, 6),
    ] {
        let (found, wide) = look(folder.path(), &page);
        let [count, small, parts, fetched] = found[..] else {
            panic!("{found:?}");
        };
        assert!(count >= drawings, "{name}: {count} drawings");
        assert_eq!((small, fetched), (0, 0), "{name}");
        assert!(parts >= 2, "{name}: a drawing has {parts} parts");
        assert!(!wide, "{name} is wider than its window");
    }
}
