//! IEEE halves: half the memory of f32, 11 significant bits, up to 65504.

use half::f16;

use super::Float;
use super::GROUP;
use super::float::IN_PAIRS;
use crate::kernels::panel::{one_row_in_streams, widen};
use crate::simd::F32x4;

impl Float for f16 {
    const NAME: &'static str = "f16";
    const WIDENED: bool = true;
    const PLACES: [usize; GROUP] = IN_PAIRS;

    fn from_f32(value: f32) -> Self {
        f16::from_f32(value)
    }

    fn to_f32(self) -> f32 {
        f16::to_f32(self)
    }

    fn is_finite(self) -> bool {
        f16::is_finite(self)
    }

    #[inline(always)]
    unsafe fn load(from: *const Self) -> [F32x4; 4] {
        // SAFETY: as the caller promises; a f16 is a u16 in memory.
        let [[a, b], [c, d]] = [0, 8].map(|at| unsafe { F32x4::load_f16_pairs(from.add(at).cast()) });
        [a, b, c, d]
    }

    fn one_row(out: &mut [f32], x: &[f32], panels: &[Self]) {
        one_row_in_streams(panels, x, out);
    }

    fn panel<'a>(panel: &'a [Self], scratch: &'a mut [f32]) -> &'a [f32] {
        widen(panel, scratch);
        scratch
    }
}
