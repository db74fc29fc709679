//! Findings as one page of HTML: what was found, pictures of it, and how it was measured. Nothing is fetched.

use super::AnalysisFinding;
use crate::plot::{escaped, page};

/// The page of a run's findings; `about` are lines on what was looked at.
pub fn html(title: &str, about: &[String], findings: &[AnalysisFinding]) -> String {
    let about: Vec<String> = about.iter().map(|line| escaped(line)).collect();
    let mut out = format!("<p class=\"about\">{}</p>\n", about.join("<br>"));
    for finding in findings {
        out += &format!("<h2>{}</h2>\n", escaped(&finding.title));
        let figures: String = (finding.plots.iter())
            .map(|(_, plot)| plot.figure())
            .collect();
        // Beside one picture there is room for what it says.
        out += &match finding.plots.len() {
            1 => format!(
                "<div class=\"plots\">\n{figures}<div>\n{}{}</div>\n</div>\n",
                said(finding),
                measured(finding)
            ),
            _ => format!(
                "{}<div class=\"plots\">\n{figures}</div>\n{}",
                said(finding),
                measured(finding)
            ),
        };
    }
    page::html(title, &out)
}

/// What was found, as a list.
fn said(finding: &AnalysisFinding) -> String {
    let lines = finding.lines.iter().map(|line| escaped(line));
    let lines: String = lines.map(|line| format!("<li>{line}</li>\n")).collect();
    format!("<ul>\n{lines}</ul>\n")
}

/// How it was measured, and where all of it is.
fn measured(finding: &AnalysisFinding) -> String {
    let notes = finding.notes.iter().map(|note| escaped(note));
    let notes: String = notes
        .map(|note| format!("<p class=\"about\">{note}</p>\n"))
        .collect();
    format!(
        "{notes}<p class=\"about\"><code>{}.csv</code></p>\n",
        finding.name
    )
}
