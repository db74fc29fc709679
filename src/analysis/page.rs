//! Findings as one page of HTML: what was found, pictures of it, and how it was measured. Nothing is fetched.

use super::AnalysisFinding;
use crate::plot::{escaped, page};

/// The page of a run's findings; `about` are lines on what was looked at.
pub fn html(title: &str, about: &[String], findings: &[AnalysisFinding]) -> String {
    let about: Vec<String> = about.iter().map(|line| escaped(line)).collect();
    let mut out = format!("<p class=\"about\">{}</p>\n", about.join("<br>"));
    for finding in findings {
        out += &format!("<h2>{}</h2>\n<ul>\n", escaped(&finding.title));
        for line in &finding.lines {
            out += &format!("<li>{}</li>\n", escaped(line));
        }
        out += "</ul>\n<div class=\"plots\">\n";
        for (_, plot) in &finding.plots {
            out += &plot.figure();
        }
        out += "</div>\n";
        for note in &finding.notes {
            out += &format!("<p class=\"about\">{}</p>\n", escaped(note));
        }
        out += &format!("<p class=\"about\"><code>{}.csv</code></p>\n", finding.name);
    }
    page::html(title, &out)
}
