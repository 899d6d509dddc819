//! Four f32 (or two f64) at once: WebAssembly's `v128`, or plain arrays on the host so that `cargo test` runs the very
//! kernels that ship. Every operation rounds as IEEE single does, so both give the same bits.

#[cfg(target_arch = "wasm32")]
pub use wasm::{F32x4, F64x2};

#[cfg(not(target_arch = "wasm32"))]
pub use portable::{F32x4, F64x2};

#[cfg(target_arch = "wasm32")]
mod wasm {
    use core::arch::wasm32::*;

    #[derive(Clone, Copy)]
    pub struct F32x4(v128);

    impl F32x4 {
        #[inline(always)]
        pub fn from_v128(bits: v128) -> Self {
            Self(bits)
        }

        #[inline(always)]
        pub fn to_v128(self) -> v128 {
            self.0
        }

        #[inline(always)]
        pub fn splat(value: f32) -> Self {
            Self(f32x4_splat(value))
        }

        /// # Safety
        /// `from` must be readable for four floats (any alignment).
        #[inline(always)]
        pub unsafe fn load(from: *const f32) -> Self {
            Self(unsafe { v128_load(from.cast()) })
        }

        /// # Safety
        /// `from` must be readable for one float.
        #[inline(always)]
        pub unsafe fn load_splat(from: *const f32) -> Self {
            Self(unsafe { v128_load32_splat(from.cast()) })
        }

        /// Eight bfloat16, the upper halves of eight floats: those at even places, and at odd ones.
        ///
        /// # Safety
        /// `from` must be readable for eight u16 (any alignment).
        #[inline(always)]
        pub unsafe fn load_bf16_pairs(from: *const u16) -> [Self; 2] {
            let bits = unsafe { v128_load(from.cast()) };
            [Self(i32x4_shl(bits, 16)), Self(v128_and(bits, i32x4_splat(0xffff_0000u32 as i32)))]
        }

        /// Eight halves, as `load_f16` has them: those at even places, and at odd ones.
        ///
        /// # Safety
        /// `from` must be readable for eight u16 (any alignment).
        #[inline(always)]
        pub unsafe fn load_f16_pairs(from: *const u16) -> [Self; 2] {
            let bits = unsafe { v128_load(from.cast()) };
            [i32x4_shl(bits, 16), bits].map(|upper| {
                let moved = v128_and(i32x4_shr(upper, 3), i32x4_splat(0x8fff_e000u32 as i32));
                Self(f32x4_mul(moved, f32x4_splat(f32::from_bits(super::TWO_TO_112))))
            })
        }

        /// Four IEEE halves, finite: the bits of a half moved into a float's read as the number times 2^-112,
        /// subnormals included.
        ///
        /// # Safety
        /// `from` must be readable for four u16.
        #[inline(always)]
        pub unsafe fn load_f16(from: *const u16) -> Self {
            let wide = unsafe { i32x4_load_extend_i16x4(from.cast()) };
            let bits = v128_and(i32x4_shl(wide, 13), i32x4_splat(0x8fff_e000u32 as i32));
            Self(f32x4_mul(bits, f32x4_splat(f32::from_bits(super::TWO_TO_112))))
        }

        /// # Safety
        /// `to` must be writable for four floats (any alignment).
        #[inline(always)]
        pub unsafe fn store(self, to: *mut f32) {
            unsafe { v128_store(to.cast(), self.0) }
        }

        #[inline(always)]
        pub fn add(self, other: Self) -> Self {
            Self(f32x4_add(self.0, other.0))
        }

        #[inline(always)]
        pub fn sub(self, other: Self) -> Self {
            Self(f32x4_sub(self.0, other.0))
        }

        #[inline(always)]
        pub fn mul(self, other: Self) -> Self {
            Self(f32x4_mul(self.0, other.0))
        }

        #[inline(always)]
        pub fn div(self, other: Self) -> Self {
            Self(f32x4_div(self.0, other.0))
        }

        /// NaN where either is NaN.
        #[inline(always)]
        pub fn max(self, other: Self) -> Self {
            Self(f32x4_max(self.0, other.0))
        }

        /// NaN where either is NaN.
        #[inline(always)]
        pub fn min(self, other: Self) -> Self {
            Self(f32x4_min(self.0, other.0))
        }

        /// To the nearest whole number, ties to even.
        #[inline(always)]
        pub fn round(self) -> Self {
            Self(f32x4_nearest(self.0))
        }

        /// 2^self for whole numbers from -126 to 127; anything for NaN.
        #[inline(always)]
        pub fn exp2_whole(self) -> Self {
            let whole = i32x4_trunc_sat_f32x4(self.0);
            Self(i32x4_shl(i32x4_add(whole, i32x4_splat(127)), 23))
        }

        #[inline(always)]
        pub fn lanes(self) -> [f32; 4] {
            [
                f32x4_extract_lane::<0>(self.0),
                f32x4_extract_lane::<1>(self.0),
                f32x4_extract_lane::<2>(self.0),
                f32x4_extract_lane::<3>(self.0),
            ]
        }

        /// Lanes 0 and 1, then 2 and 3.
        #[inline(always)]
        pub fn widen(self) -> [F64x2; 2] {
            let high = i64x2_shuffle::<1, 1>(self.0, self.0);
            [F64x2(f64x2_promote_low_f32x4(self.0)), F64x2(f64x2_promote_low_f32x4(high))]
        }
    }

    #[derive(Clone, Copy)]
    pub struct F64x2(v128);

    impl F64x2 {
        #[inline(always)]
        pub fn splat(value: f64) -> Self {
            Self(f64x2_splat(value))
        }

        #[inline(always)]
        pub fn add(self, other: Self) -> Self {
            Self(f64x2_add(self.0, other.0))
        }

        #[inline(always)]
        pub fn lanes(self) -> [f64; 2] {
            [f64x2_extract_lane::<0>(self.0), f64x2_extract_lane::<1>(self.0)]
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod portable {
    #[derive(Clone, Copy)]
    pub struct F32x4([f32; 4]);

    impl F32x4 {
        #[inline(always)]
        pub fn from_lanes(lanes: [f32; 4]) -> Self {
            Self(lanes)
        }

        #[inline(always)]
        pub fn splat(value: f32) -> Self {
            Self([value; 4])
        }

        /// # Safety
        /// `from` must be readable for four floats (any alignment).
        #[inline(always)]
        pub unsafe fn load(from: *const f32) -> Self {
            Self(unsafe { from.cast::<[f32; 4]>().read_unaligned() })
        }

        /// # Safety
        /// `from` must be readable for one float.
        #[inline(always)]
        pub unsafe fn load_splat(from: *const f32) -> Self {
            Self::splat(unsafe { *from })
        }

        /// # Safety
        /// `from` must be readable for eight u16.
        #[inline(always)]
        pub unsafe fn load_bf16_pairs(from: *const u16) -> [Self; 2] {
            let bits = unsafe { from.cast::<[u16; 8]>().read_unaligned() };
            let float = |b: u16| f32::from_bits(u32::from(b) << 16);
            [0, 1].map(|odd| Self(core::array::from_fn(|i| float(bits[2 * i + odd]))))
        }

        /// # Safety
        /// `from` must be readable for eight u16.
        #[inline(always)]
        pub unsafe fn load_f16_pairs(from: *const u16) -> [Self; 2] {
            let bits = unsafe { from.cast::<[u16; 8]>().read_unaligned() };
            [0, 1].map(|odd| {
                let four: [u16; 4] = core::array::from_fn(|i| bits[2 * i + odd]);
                // SAFETY: four numbers.
                unsafe { Self::load_f16(four.as_ptr()) }
            })
        }

        /// # Safety
        /// `from` must be readable for four u16.
        #[inline(always)]
        pub unsafe fn load_f16(from: *const u16) -> Self {
            let bits = unsafe { from.cast::<[u16; 4]>().read_unaligned() };
            Self(bits.map(|b| {
                let moved = ((i32::from(b as i16) << 13) as u32) & 0x8fff_e000;
                f32::from_bits(moved) * f32::from_bits(super::TWO_TO_112)
            }))
        }

        /// # Safety
        /// `to` must be writable for four floats (any alignment).
        #[inline(always)]
        pub unsafe fn store(self, to: *mut f32) {
            unsafe { to.cast::<[f32; 4]>().write_unaligned(self.0) }
        }

        #[inline(always)]
        fn each(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
            Self(core::array::from_fn(|i| f(self.0[i], other.0[i])))
        }

        #[inline(always)]
        pub fn add(self, other: Self) -> Self {
            self.each(other, |a, b| a + b)
        }

        #[inline(always)]
        pub fn sub(self, other: Self) -> Self {
            self.each(other, |a, b| a - b)
        }

        #[inline(always)]
        pub fn mul(self, other: Self) -> Self {
            self.each(other, |a, b| a * b)
        }

        #[inline(always)]
        pub fn div(self, other: Self) -> Self {
            self.each(other, |a, b| a / b)
        }

        /// NaN where either is NaN.
        #[inline(always)]
        pub fn max(self, other: Self) -> Self {
            self.each(other, |a, b| if a.is_nan() || a > b { a } else { b })
        }

        /// NaN where either is NaN.
        #[inline(always)]
        pub fn min(self, other: Self) -> Self {
            self.each(other, |a, b| if a.is_nan() || a < b { a } else { b })
        }

        /// To the nearest whole number, ties to even.
        #[inline(always)]
        pub fn round(self) -> Self {
            Self(self.0.map(f32::round_ties_even))
        }

        /// 2^self for whole numbers from -126 to 127; anything for NaN.
        #[inline(always)]
        pub fn exp2_whole(self) -> Self {
            Self(self.0.map(|x| f32::from_bits(((x as i32).wrapping_add(127) as u32) << 23)))
        }

        #[inline(always)]
        pub fn lanes(self) -> [f32; 4] {
            self.0
        }

        /// Lanes 0 and 1, then 2 and 3.
        #[inline(always)]
        pub fn widen(self) -> [F64x2; 2] {
            let [a, b, c, d] = self.0.map(f64::from);
            [F64x2([a, b]), F64x2([c, d])]
        }
    }

    #[derive(Clone, Copy)]
    pub struct F64x2([f64; 2]);

    impl F64x2 {
        #[inline(always)]
        pub fn splat(value: f64) -> Self {
            Self([value; 2])
        }

        #[inline(always)]
        pub fn add(self, other: Self) -> Self {
            Self([self.0[0] + other.0[0], self.0[1] + other.0[1]])
        }

        #[inline(always)]
        pub fn lanes(self) -> [f64; 2] {
            self.0
        }
    }
}

const TWO_TO_112: u32 = (127 + 112) << 23;
