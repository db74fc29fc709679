//! PaiNN, polarizable atom interaction neural network (Schuett, Unke, Gastegger, ICML 2021,
//! arXiv:2102.03150), in SchNetPack's parametrisation.

pub mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
pub mod export;
pub mod import;
pub mod int8;
pub mod reference;
pub mod spec;
pub mod weights;

pub use crate::potential::{Int8Linear, Linear};
pub use export::export;
pub use import::{Imported, import, import_noted, import_unnamed};
pub use int8::{InputMoments, Int8Product, Int8Weights};
pub use spec::{RadialBasis, Spec};
pub use weights::{Layer, Weights};
