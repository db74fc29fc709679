//! SIMD lanes: one small trait that the kernels are written in, and its widths.
//!
//! A kernel is a generic function, always inlined, of a [`Lane`]; what makes it AVX-512 or AVX2 code
//! is the function with that target feature into which it is inlined (see `stages`). The portable
//! lanes are plain arrays that the compiler turns into whatever the target has (NEON, SSE2).
//!
//! # Safety
//! Methods are unsafe for two reasons: those of x86 lanes need the processor feature, which
//! `Isa::detect` has checked before any of them runs, and `load` and `store` take raw pointers to
//! `N` numbers.

/// Numbers of the network.
pub(in crate::potential) trait Real:
    Copy + Default + Send + Sync + PartialOrd + std::ops::Add<Output = Self> + 'static
{
    fn of(x: f64) -> Self;
    fn to_f64(self) -> f64;
}

impl Real for f32 {
    fn of(x: f64) -> Self {
        x as f32
    }
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
}

impl Real for f64 {
    fn of(x: f64) -> Self {
        x
    }
    fn to_f64(self) -> f64 {
        self
    }
}

/// `N` numbers in one register (or a few).
#[allow(clippy::missing_safety_doc, reason = "the module says what is needed")]
pub(in crate::potential) trait Lane: Copy + Send + Sync + 'static {
    type T: Real;
    /// Numbers per lane.
    const N: usize;
    /// Rows of a register tile of the matrix product: 2 `ROWS` accumulators, two columns of weights
    /// and a broadcast fit into the registers.
    const ROWS: usize;
    /// exp argument range in which 2^n is a normal number.
    const EXP_LIMIT: f64;
    /// Degree of the Taylor polynomial of exp on |x| <= ln 2 / 2 that is exact to rounding.
    const EXP_DEGREE: usize;

    unsafe fn splat(x: Self::T) -> Self;
    unsafe fn load(from: *const Self::T) -> Self;
    /// `N` integers of 8 bits as numbers.
    unsafe fn widen(from: *const i8) -> Self;
    unsafe fn store(self, to: *mut Self::T);
    unsafe fn add(self, b: Self) -> Self;
    unsafe fn sub(self, b: Self) -> Self;
    unsafe fn mul(self, b: Self) -> Self;
    unsafe fn div(self, b: Self) -> Self;
    unsafe fn sqrt(self) -> Self;
    /// The larger of each two numbers.
    unsafe fn max(self, b: Self) -> Self;
    /// The smaller of each two numbers.
    unsafe fn min(self, b: Self) -> Self;
    /// self * b + c, rounded once where the processor can.
    unsafe fn mul_add(self, b: Self, c: Self) -> Self;
    /// Nearest integers.
    unsafe fn round(self) -> Self;
    /// 2^self of integers within the range of normal exponents.
    unsafe fn exp2_integer(self) -> Self;
    /// Adds the sum of the numbers of each of four lanes, taken in a fixed order, to one of `to`.
    unsafe fn add_sums(lanes: [Self; 4], to: *mut [Self::T; 4]);
}

/// 1 / k!, k = 0..=13.
const INVERSE_FACTORIALS: [f64; 14] = {
    let mut table = [1.0; 14];
    let mut k = 1;
    while k < 14 {
        table[k] = table[k - 1] / k as f64;
        k += 1;
    }
    table
};

/// ln 2 in two parts; the first has zeros in the low bits, so that its product with an exponent is
/// exact (for f32: the first 12 bits, for f64 the first 32).
const LN2_HIGH_F32: f64 = 0.693_359_375;
const LN2_HIGH_F64: f64 = 0.693_147_180_369_123_8;

/// exp(x), to rounding, clamped to the range of normal numbers.
#[inline(always)]
unsafe fn exp<V: Lane>(x: V) -> V {
    unsafe {
        let high = if size_of::<V::T>() == 4 {
            LN2_HIGH_F32
        } else {
            LN2_HIGH_F64
        };
        let x = x
            .max(constant::<V>(-V::EXP_LIMIT))
            .min(constant::<V>(V::EXP_LIMIT));
        let n = x.mul(constant::<V>(std::f64::consts::LOG2_E)).round();
        let r = n.mul_add(constant::<V>(-high), x);
        let r = n.mul_add(constant::<V>(high - std::f64::consts::LN_2), r);
        let mut p = constant::<V>(INVERSE_FACTORIALS[V::EXP_DEGREE]);
        let mut k = V::EXP_DEGREE;
        while k > 0 {
            k -= 1;
            p = p.mul_add(r, constant::<V>(INVERSE_FACTORIALS[k]));
        }
        p.mul(n.exp2_integer())
    }
}

/// Puts a number into every place.
#[inline(always)]
unsafe fn constant<V: Lane>(x: f64) -> V {
    unsafe { V::splat(V::T::of(x)) }
}

/// 1 / (1 + exp(-x)).
#[inline(always)]
pub(in crate::potential) unsafe fn sigmoid<V: Lane>(x: V) -> V {
    unsafe {
        let one = V::splat(V::T::of(1.0));
        let minus = V::splat(V::T::of(0.0)).sub(x);
        one.div(one.add(exp(minus)))
    }
}

/// x sigmoid(x).
#[inline(always)]
pub(in crate::potential) unsafe fn silu<V: Lane>(x: V) -> V {
    unsafe { x.mul(sigmoid(x)) }
}

/// d silu / dx = s (1 + x (1 - s)), s = sigmoid(x).
#[inline(always)]
pub(in crate::potential) unsafe fn silu_slope<V: Lane>(x: V) -> V {
    unsafe {
        let one = V::splat(V::T::of(1.0));
        let s = sigmoid(x);
        s.mul(x.mul_add(one.sub(s), one))
    }
}

/// ln(1 + exp(x)) - ln 2, the shifted softplus; its slope is [`sigmoid`].
///
/// With z = exp(-|x|) it is max(x, 0) + ln(1 + z) - ln 2, and ln(1 + z) = 2 artanh(u), u = z / (2 + z) <= 1/3: the series ends
/// where its terms are under the rounding.
#[inline(always)]
pub(in crate::potential) unsafe fn shifted_softplus<V: Lane>(x: V) -> V {
    unsafe {
        let terms = if size_of::<V::T>() == 4 { 8 } else { 17 };
        let zero = V::splat(V::T::of(0.0));
        let z = exp(zero.sub(x.max(zero.sub(x))));
        let u = z.div(z.add(constant::<V>(2.0)));
        let square = u.mul(u);
        let mut series = constant::<V>(1.0 / (2 * terms + 1) as f64);
        let mut k = terms;
        while k > 0 {
            k -= 1;
            series = series.mul_add(square, constant::<V>(1.0 / (2 * k + 1) as f64));
        }
        let log = u.add(u).mul(series);
        x.max(zero)
            .add(log.sub(constant::<V>(std::f64::consts::LN_2)))
    }
}

/// Portable lanes: arrays, vectorised by the compiler.
#[derive(Clone, Copy)]
pub(in crate::potential) struct Wide<T, const N: usize>([T; N]);

macro_rules! portable {
    ($t:ty, $bits:ty, $n:literal, $mantissa:literal, $bias:literal, $magic:expr, $limit:expr, $degree:literal) => {
        impl Wide<$t, $n> {
            #[inline(always)]
            fn map(self, f: impl Fn($t) -> $t) -> Self {
                let mut out = self;
                for k in 0..$n {
                    out.0[k] = f(self.0[k]);
                }
                out
            }
            #[inline(always)]
            fn zip(self, b: Self, f: impl Fn($t, $t) -> $t) -> Self {
                let mut out = self;
                for k in 0..$n {
                    out.0[k] = f(self.0[k], b.0[k]);
                }
                out
            }
        }

        impl Lane for Wide<$t, $n> {
            type T = $t;
            const N: usize = $n;
            const ROWS: usize = 4;
            const EXP_LIMIT: f64 = $limit;
            const EXP_DEGREE: usize = $degree;

            #[inline(always)]
            unsafe fn splat(x: $t) -> Self {
                Self([x; $n])
            }
            #[inline(always)]
            unsafe fn load(from: *const $t) -> Self {
                // SAFETY: the caller gives a pointer to N numbers.
                Self(unsafe { from.cast::<[$t; $n]>().read() })
            }
            #[inline(always)]
            unsafe fn widen(from: *const i8) -> Self {
                // SAFETY: the caller gives a pointer to N integers.
                let integers = unsafe { from.cast::<[i8; $n]>().read() };
                Self(integers.map(<$t>::from))
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $t) {
                // SAFETY: the caller gives a pointer to N numbers.
                unsafe { to.cast::<[$t; $n]>().write(self.0) }
            }
            #[inline(always)]
            unsafe fn add(self, b: Self) -> Self {
                self.zip(b, |a, b| a + b)
            }
            #[inline(always)]
            unsafe fn sub(self, b: Self) -> Self {
                self.zip(b, |a, b| a - b)
            }
            #[inline(always)]
            unsafe fn mul(self, b: Self) -> Self {
                self.zip(b, |a, b| a * b)
            }
            #[inline(always)]
            unsafe fn div(self, b: Self) -> Self {
                self.zip(b, |a, b| a / b)
            }
            #[inline(always)]
            unsafe fn sqrt(self) -> Self {
                self.map(<$t>::sqrt)
            }
            #[inline(always)]
            unsafe fn max(self, b: Self) -> Self {
                self.zip(b, |a, b| if a > b { a } else { b })
            }
            #[inline(always)]
            unsafe fn min(self, b: Self) -> Self {
                self.zip(b, |a, b| if a < b { a } else { b })
            }
            #[inline(always)]
            unsafe fn mul_add(self, b: Self, c: Self) -> Self {
                let mut out = self;
                for k in 0..$n {
                    // Without the instruction, a fused multiply-add is a slow library call.
                    out.0[k] = if cfg!(any(target_arch = "aarch64", target_feature = "fma")) {
                        self.0[k].mul_add(b.0[k], c.0[k])
                    } else {
                        self.0[k] * b.0[k] + c.0[k]
                    };
                }
                out
            }
            #[inline(always)]
            unsafe fn round(self) -> Self {
                // Adding 1.5 * 2^mantissa leaves no bits for the fraction.
                self.map(|x| (x + $magic) - $magic)
            }
            #[inline(always)]
            unsafe fn exp2_integer(self) -> Self {
                self.map(|n| <$t>::from_bits((((n as i32) + $bias) as $bits) << $mantissa))
            }
            #[inline(always)]
            unsafe fn add_sums(lanes: [Self; 4], to: *mut [$t; 4]) {
                for (k, lane) in lanes.into_iter().enumerate() {
                    let mut v = lane.0;
                    let mut half = $n / 2;
                    while half > 0 {
                        for k in 0..half {
                            v[k] += v[k + half];
                        }
                        half /= 2;
                    }
                    // SAFETY: the caller's four numbers.
                    unsafe { (*to)[k] += v[0] };
                }
            }
        }
    };
}

portable!(f32, u32, 8, 23, 127, 12_582_912.0, 87.0, 7);
portable!(f64, u64, 4, 52, 1023, 6_755_399_441_055_744.0, 708.0, 13);

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Lane;
    use std::arch::x86_64::*;

    macro_rules! common {
        ($v:ty, $t:ty, $n:literal, $rows:literal, $limit:expr, $degree:literal, $set1:ident, $load:ident, $store:ident,
         $add:ident, $sub:ident, $mul:ident, $div:ident, $sqrt:ident, $max:ident, $min:ident, $fma:ident) => {
            type T = $t;
            const N: usize = $n;
            const ROWS: usize = $rows;
            const EXP_LIMIT: f64 = $limit;
            const EXP_DEGREE: usize = $degree;

            #[inline(always)]
            unsafe fn splat(x: $t) -> Self {
                unsafe { $set1(x) }
            }
            #[inline(always)]
            unsafe fn load(from: *const $t) -> Self {
                unsafe { $load(from) }
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $t) {
                unsafe { $store(to, self) }
            }
            #[inline(always)]
            unsafe fn add(self, b: Self) -> Self {
                unsafe { $add(self, b) }
            }
            #[inline(always)]
            unsafe fn sub(self, b: Self) -> Self {
                unsafe { $sub(self, b) }
            }
            #[inline(always)]
            unsafe fn mul(self, b: Self) -> Self {
                unsafe { $mul(self, b) }
            }
            #[inline(always)]
            unsafe fn div(self, b: Self) -> Self {
                unsafe { $div(self, b) }
            }
            #[inline(always)]
            unsafe fn sqrt(self) -> Self {
                unsafe { $sqrt(self) }
            }
            #[inline(always)]
            unsafe fn max(self, b: Self) -> Self {
                unsafe { $max(self, b) }
            }
            #[inline(always)]
            unsafe fn min(self, b: Self) -> Self {
                unsafe { $min(self, b) }
            }
            #[inline(always)]
            unsafe fn mul_add(self, b: Self, c: Self) -> Self {
                unsafe { $fma(self, b, c) }
            }
        };
    }

    const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

    impl Lane for __m512 {
        common!(
            __m512,
            f32,
            16,
            12,
            87.0,
            7,
            _mm512_set1_ps,
            _mm512_loadu_ps,
            _mm512_storeu_ps,
            _mm512_add_ps,
            _mm512_sub_ps,
            _mm512_mul_ps,
            _mm512_div_ps,
            _mm512_sqrt_ps,
            _mm512_max_ps,
            _mm512_min_ps,
            _mm512_fmadd_ps
        );
        #[inline(always)]
        unsafe fn widen(from: *const i8) -> Self {
            unsafe { _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(from.cast()))) }
        }
        #[inline(always)]
        unsafe fn round(self) -> Self {
            unsafe { _mm512_roundscale_ps::<NEAREST>(self) }
        }
        #[inline(always)]
        unsafe fn exp2_integer(self) -> Self {
            unsafe { _mm512_scalef_ps(_mm512_set1_ps(1.0), self) }
        }
        #[inline(always)]
        unsafe fn add_sums(lanes: [Self; 4], to: *mut [f32; 4]) {
            unsafe {
                // Two transposing additions leave the sums over every fourth number, in order.
                let [a, b, c, d] = lanes;
                let ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
                let cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
                let low = _mm512_shuffle_ps::<0b01_00_01_00>(ab, cd);
                let high = _mm512_shuffle_ps::<0b11_10_11_10>(ab, cd);
                let s = _mm512_add_ps(low, high);
                let s = _mm256_add_ps(
                    _mm512_castps512_ps256(s),
                    _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(s))),
                );
                let s = _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps::<1>(s));
                let to = to.cast::<f32>();
                _mm_storeu_ps(to, _mm_add_ps(_mm_loadu_ps(to), s));
            }
        }
    }

    impl Lane for __m512d {
        common!(
            __m512d,
            f64,
            8,
            12,
            708.0,
            13,
            _mm512_set1_pd,
            _mm512_loadu_pd,
            _mm512_storeu_pd,
            _mm512_add_pd,
            _mm512_sub_pd,
            _mm512_mul_pd,
            _mm512_div_pd,
            _mm512_sqrt_pd,
            _mm512_max_pd,
            _mm512_min_pd,
            _mm512_fmadd_pd
        );
        #[inline(always)]
        unsafe fn widen(from: *const i8) -> Self {
            unsafe { _mm512_cvtepi32_pd(_mm256_cvtepi8_epi32(_mm_loadl_epi64(from.cast()))) }
        }
        #[inline(always)]
        unsafe fn round(self) -> Self {
            unsafe { _mm512_roundscale_pd::<NEAREST>(self) }
        }
        #[inline(always)]
        unsafe fn exp2_integer(self) -> Self {
            unsafe { _mm512_scalef_pd(_mm512_set1_pd(1.0), self) }
        }
        #[inline(always)]
        unsafe fn add_sums(lanes: [Self; 4], to: *mut [f64; 4]) {
            unsafe {
                for k in 0..4 {
                    (*to)[k] += _mm512_reduce_add_pd(lanes[k]);
                }
            }
        }
    }

    impl Lane for __m256 {
        common!(
            __m256,
            f32,
            8,
            6,
            87.0,
            7,
            _mm256_set1_ps,
            _mm256_loadu_ps,
            _mm256_storeu_ps,
            _mm256_add_ps,
            _mm256_sub_ps,
            _mm256_mul_ps,
            _mm256_div_ps,
            _mm256_sqrt_ps,
            _mm256_max_ps,
            _mm256_min_ps,
            _mm256_fmadd_ps
        );
        #[inline(always)]
        unsafe fn widen(from: *const i8) -> Self {
            unsafe { _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(from.cast()))) }
        }
        #[inline(always)]
        unsafe fn round(self) -> Self {
            unsafe { _mm256_round_ps::<NEAREST>(self) }
        }
        #[inline(always)]
        unsafe fn exp2_integer(self) -> Self {
            unsafe {
                let n = _mm256_add_epi32(_mm256_cvtps_epi32(self), _mm256_set1_epi32(127));
                _mm256_castsi256_ps(_mm256_slli_epi32::<23>(n))
            }
        }
        #[inline(always)]
        unsafe fn add_sums(lanes: [Self; 4], to: *mut [f32; 4]) {
            unsafe {
                let [a, b, c, d] = lanes;
                let s = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
                let s = _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps::<1>(s));
                let to = to.cast::<f32>();
                _mm_storeu_ps(to, _mm_add_ps(_mm_loadu_ps(to), s));
            }
        }
    }

    impl Lane for __m256d {
        common!(
            __m256d,
            f64,
            4,
            6,
            708.0,
            13,
            _mm256_set1_pd,
            _mm256_loadu_pd,
            _mm256_storeu_pd,
            _mm256_add_pd,
            _mm256_sub_pd,
            _mm256_mul_pd,
            _mm256_div_pd,
            _mm256_sqrt_pd,
            _mm256_max_pd,
            _mm256_min_pd,
            _mm256_fmadd_pd
        );
        #[inline(always)]
        unsafe fn widen(from: *const i8) -> Self {
            unsafe {
                let four = from.cast::<i32>().read_unaligned();
                _mm256_cvtepi32_pd(_mm_cvtepi8_epi32(_mm_cvtsi32_si128(four)))
            }
        }
        #[inline(always)]
        unsafe fn round(self) -> Self {
            unsafe { _mm256_round_pd::<NEAREST>(self) }
        }
        #[inline(always)]
        unsafe fn exp2_integer(self) -> Self {
            unsafe {
                let n = _mm256_cvtepi32_epi64(_mm256_cvtpd_epi32(self));
                let n = _mm256_add_epi64(n, _mm256_set1_epi64x(1023));
                _mm256_castsi256_pd(_mm256_slli_epi64::<52>(n))
            }
        }
        #[inline(always)]
        unsafe fn add_sums(lanes: [Self; 4], to: *mut [f64; 4]) {
            unsafe {
                for k in 0..4 {
                    let (low, high) = (
                        _mm256_castpd256_pd128(lanes[k]),
                        _mm256_extractf128_pd::<1>(lanes[k]),
                    );
                    let s = _mm_add_pd(low, high);
                    (*to)[k] += _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
                }
            }
        }
    }
}
