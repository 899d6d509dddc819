//! Weights as they are computed with.

use super::Float;
use crate::kernels::panel::one_row_in_thirds;
use crate::simd::F32x4;

impl Float for f32 {
    const NAME: &'static str = "f32";
    const WIDENED: bool = false;

    fn from_f32(value: f32) -> Self {
        value
    }

    fn to_f32(self) -> f32 {
        self
    }

    fn is_finite(self) -> bool {
        f32::is_finite(self)
    }

    #[inline(always)]
    unsafe fn load(from: *const Self) -> [F32x4; 4] {
        // SAFETY: as the caller promises.
        core::array::from_fn(|i| unsafe { F32x4::load(from.add(4 * i)) })
    }

    fn one_row(out: &mut [f32], x: &[f32], panels: &[Self]) {
        one_row_in_thirds(panels, x, out);
    }

    fn panel<'a>(panel: &'a [Self], _scratch: &'a mut [f32]) -> &'a [f32] {
        panel
    }
}
