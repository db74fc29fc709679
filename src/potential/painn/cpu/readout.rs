//! The readout: energies of atoms, and the gradient with which the backward pass begins.

use super::affine::Tile;
use super::atomwise::{BlockSlice, each};
use super::fused::readout::ReadoutPass;
use super::gemm::Products;

impl<V: Products> BlockSlice<'_, V> {
    /// Energies of the block's atoms and G_q of the last layer; all slices at once.
    #[inline(always)]
    pub(super) unsafe fn readout(&self) {
        let view = self.view;
        let pass = ReadoutPass {
            readout: &view.network.readout,
            values: view.readout,
            slopes: view.readout_back,
            scratch: self.block.scratch,
            count: self.block.atoms.len(),
        };
        let mut tile = Tile::new();
        unsafe {
            let features = self.rows(view.features, 1, 2 * view.network.features);
            let last = pass.forward::<V>(features, &mut tile);
            for (row, atom) in self.block.atoms.clone().enumerate() {
                *view.energies.at(view.order[atom] as usize) = pass.energy::<V>(last, row);
            }
            pass.backward::<V>(&mut tile);
            for slice in 0..view.network.slices {
                pass.gradient::<V>(slice, &mut tile);
                let tile = tile.start();
                each!(self, |atom, lane, row| {
                    let g = V::load(tile.add(row * Self::WIDTH + lane));
                    g.store(view.gradient(self.layer, slice, atom).add(lane));
                });
            }
        }
    }
}
