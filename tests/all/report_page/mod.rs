//! The page of a run, `report.html`: every plot has its points, pictures have their atoms and bonds, nothing is fetched, no page is
//! large, and no run fails for it.

mod browser;
mod made;
mod pages;
mod pictures;
mod program;
