//! Whole numbers side by side, for products of quantised weights: WebAssembly's `v128`, or plain arrays on the host so
//! that `cargo test` runs the very kernels that ship. All of it is exact.

#[cfg(target_arch = "wasm32")]
pub use wasm::{I16x8, I32x4};

#[cfg(not(target_arch = "wasm32"))]
pub use portable::{I16x8, I32x4};

#[cfg(target_arch = "wasm32")]
mod wasm {
    use core::arch::wasm32::*;

    use crate::simd::F32x4;

    #[derive(Clone, Copy)]
    pub struct I32x4(v128);

    impl I32x4 {
        pub const ZERO: Self = Self(i32x4(0, 0, 0, 0));

        #[inline(always)]
        pub fn add(self, other: Self) -> Self {
            Self(i32x4_add(self.0, other.0))
        }

        /// With the sign.
        #[inline(always)]
        pub fn shift_right(self, by: u32) -> Self {
            Self(i32x4_shr(self.0, by))
        }

        /// The nearest floats.
        #[inline(always)]
        pub fn to_f32(self) -> F32x4 {
            F32x4::from_v128(f32x4_convert_i32x4(self.0))
        }
    }

    #[derive(Clone, Copy)]
    pub struct I16x8(v128);

    impl I16x8 {
        pub const ONES: Self = Self(i16x8(1, 1, 1, 1, 1, 1, 1, 1));

        #[inline(always)]
        pub fn splat(value: i16) -> Self {
            Self(i16x8_splat(value))
        }

        /// Zeros come in at the top.
        #[inline(always)]
        pub fn shift_right(self, by: u32) -> Self {
            Self(u16x8_shr(self.0, by))
        }

        #[inline(always)]
        pub fn and(self, other: Self) -> Self {
            Self(v128_and(self.0, other.0))
        }

        /// Whole numbers in floats, four and four; none beyond 16 bits. NaN becomes 0.
        #[inline(always)]
        pub fn from_f32(low: F32x4, high: F32x4) -> Self {
            let [low, high] = [low, high].map(|x| i32x4_trunc_sat_f32x4(x.to_v128()));
            Self(i16x8_narrow_i32x4(low, high))
        }

        /// # Safety
        /// `from` must be readable for eight numbers (any alignment).
        #[inline(always)]
        pub unsafe fn load(from: *const i16) -> Self {
            Self(unsafe { v128_load(from.cast()) })
        }

        /// # Safety
        /// `from` must be readable for eight numbers.
        #[inline(always)]
        pub unsafe fn load_i8(from: *const i8) -> Self {
            Self(unsafe { i16x8_load_extend_i8x8(from) })
        }

        /// Two numbers, four times over.
        ///
        /// # Safety
        /// `from` must be readable for two numbers (any alignment).
        #[inline(always)]
        pub unsafe fn load_pair_splat(from: *const i16) -> Self {
            Self(unsafe { v128_load32_splat(from.cast()) })
        }

        /// # Safety
        /// `to` must be writable for eight numbers (any alignment).
        #[inline(always)]
        pub unsafe fn store(self, to: *mut i16) {
            unsafe { v128_store(to.cast(), self.0) }
        }

        /// Products, the two neighbours of each pair added up.
        #[inline(always)]
        pub fn dot(self, other: Self) -> I32x4 {
            I32x4(i32x4_dot_i16x8(self.0, other.0))
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod portable {
    use crate::simd::F32x4;

    #[derive(Clone, Copy)]
    pub struct I32x4([i32; 4]);

    impl I32x4 {
        pub const ZERO: Self = Self([0; 4]);

        #[inline(always)]
        pub fn add(self, other: Self) -> Self {
            Self(core::array::from_fn(|i| self.0[i].wrapping_add(other.0[i])))
        }

        /// With the sign.
        #[inline(always)]
        pub fn shift_right(self, by: u32) -> Self {
            Self(self.0.map(|x| x >> by))
        }

        /// The nearest floats.
        #[inline(always)]
        pub fn to_f32(self) -> F32x4 {
            F32x4::from_lanes(self.0.map(|x| x as f32))
        }
    }

    #[derive(Clone, Copy)]
    pub struct I16x8([i16; 8]);

    impl I16x8 {
        pub const ONES: Self = Self([1; 8]);

        #[inline(always)]
        pub fn splat(value: i16) -> Self {
            Self([value; 8])
        }

        /// Zeros come in at the top.
        #[inline(always)]
        pub fn shift_right(self, by: u32) -> Self {
            Self(self.0.map(|x| (x as u16 >> by) as i16))
        }

        #[inline(always)]
        pub fn and(self, other: Self) -> Self {
            Self(core::array::from_fn(|i| self.0[i] & other.0[i]))
        }

        /// Whole numbers in floats, four and four; none beyond 16 bits. NaN becomes 0.
        #[inline(always)]
        pub fn from_f32(low: F32x4, high: F32x4) -> Self {
            let ([a, b, c, d], [e, f, g, h]) = (low.lanes(), high.lanes());
            Self([a, b, c, d, e, f, g, h].map(|x| x as i16))
        }

        /// # Safety
        /// `from` must be readable for eight numbers (any alignment).
        #[inline(always)]
        pub unsafe fn load(from: *const i16) -> Self {
            Self(unsafe { from.cast::<[i16; 8]>().read_unaligned() })
        }

        /// # Safety
        /// `from` must be readable for eight numbers.
        #[inline(always)]
        pub unsafe fn load_i8(from: *const i8) -> Self {
            Self(unsafe { from.cast::<[i8; 8]>().read() }.map(i16::from))
        }

        /// Two numbers, four times over.
        ///
        /// # Safety
        /// `from` must be readable for two numbers (any alignment).
        #[inline(always)]
        pub unsafe fn load_pair_splat(from: *const i16) -> Self {
            let [a, b] = unsafe { from.cast::<[i16; 2]>().read_unaligned() };
            Self([a, b, a, b, a, b, a, b])
        }

        /// # Safety
        /// `to` must be writable for eight numbers (any alignment).
        #[inline(always)]
        pub unsafe fn store(self, to: *mut i16) {
            unsafe { to.cast::<[i16; 8]>().write_unaligned(self.0) }
        }

        /// Products, the two neighbours of each pair added up.
        #[inline(always)]
        pub fn dot(self, other: Self) -> I32x4 {
            let product = |i: usize| i32::from(self.0[i]) * i32::from(other.0[i]);
            I32x4(core::array::from_fn(|i| product(2 * i).wrapping_add(product(2 * i + 1))))
        }
    }
}
