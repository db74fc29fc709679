//! Several terms of pairs as one.

use super::{PairEnergy, PairLaw};

/// The sum of some energies of pairs.
#[derive(Debug)]
struct PairTerms(Vec<PairLaw>);

/// One term that is the sum of some; `None` where there are none.
pub fn sum_of(mut terms: Vec<PairLaw>) -> Option<PairLaw> {
    match terms.len() {
        0 | 1 => terms.pop(),
        _ => Some(std::sync::Arc::new(PairTerms(terms))),
    }
}

impl PairEnergy for PairTerms {
    fn at(&self, species: [u8; 2], distance: f64) -> (f64, f64) {
        let terms = self.0.iter().map(|term| term.at(species, distance));
        terms.fold((0.0, 0.0), |sum, term| (sum.0 + term.0, sum.1 + term.1))
    }

    fn words(&self) -> String {
        let words: Vec<String> = self.0.iter().map(|term| term.words()).collect();
        words.join(" and ")
    }

    #[cfg(feature = "cuda")]
    fn source(&self, elements: &[u8]) -> String {
        let named = self.0.iter().enumerate();
        let named =
            named.map(|(k, term)| format!("namespace term{k} {{\n{}}}\n", term.source(elements)));
        let calls = (0..self.0.len()).map(|k| {
            format!("term{k}::pair_at(i, j, r, one, change);\nenergy += one, slope += change;\n")
        });
        format!(
            "{}__device__ __forceinline__ void pair_at(int i, int j, double r, double &energy, double &slope) {{\n\
             double one, change;\n\
             energy = slope = 0.0;\n\
             {}}}\n",
            named.collect::<String>(),
            calls.collect::<String>()
        )
    }
}
