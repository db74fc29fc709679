//! Models of other programs: files as PyTorch, SchNetPack and Neural Force Field write them, converted, compared and damaged.

mod agree;
mod command;
mod convert;
mod damage;
mod layouts;
mod nff;
mod pair;
mod pickled;
mod pickles;
mod reference;
mod repulsion;
mod trained;
