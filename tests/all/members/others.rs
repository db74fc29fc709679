//! What a batch has written is read by ASE and MDAnalysis (see `tests/python/members.py`).

use std::process::Command;

use mdrun::run::Entry;

use super::plans::{self, Members};
use crate::restart::runs::Dynamics;
use crate::support::{python, root};

#[test]
fn others_read_what_members_wrote() {
    let python = match python::environment() {
        Ok(python) => python,
        Err(why) => {
            eprintln!("skipped: {why}");
            return;
        }
    };
    let mut members = Members::molecules(5, Dynamics::Langevin, 40, "");
    let each = |format: &str, more: &str| format!("{{ format = \"{format}\", every = 5{more} }}");
    let text = each("xyz", ", fields = [\"velocities\", \"forces\"]");
    let all = [text.clone(), each("dcd", ""), each("xtc", "")].join(", ");
    for member in 0..5 {
        members.set(member, &format!("output.trajectory=[{all}]"));
    }
    let (apart, together) = (members.at("apart"), members.at("together"));
    members.run(&apart, Some(2));
    let more = [format!("output.trajectory=[{text}]")];
    let mut plan = members.plan(&together, Some(3), &more);
    plan.together = true;
    plans::run(plan, Entry::Begin).unwrap();
    let read = Command::new(python)
        .arg(root().join("tests/python/members.py"))
        .args([&apart, &together])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&read.stdout);
    let errors = String::from_utf8_lossy(&read.stderr);
    assert!(read.status.success(), "{told}\n{errors}");
    println!("{told}");
}
