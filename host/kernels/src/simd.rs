//! Vector types behind one small trait, and which of them the processor has.

/// The widest vectors found at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// 512-bit vectors.
    Avx512,
    /// 256-bit vectors with fused multiply-add.
    Avx2,
    /// Whatever the compiler makes of plain loops.
    Plain,
}

impl Level {
    /// What this processor has; the environment variable `CERTUS_SIMD` (`avx512`, `avx2`, `plain`) can only lower it.
    pub fn detect() -> Self {
        static LEVEL: std::sync::OnceLock<Level> = std::sync::OnceLock::new();
        *LEVEL.get_or_init(|| {
            let found = Self::of_processor();
            match std::env::var("CERTUS_SIMD").as_deref() {
                Ok("plain") => Self::Plain,
                Ok("avx2") if found != Self::Plain => Self::Avx2,
                _ => found,
            }
        })
    }

    fn of_processor() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("fma")
            {
                return Self::Avx512;
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return Self::Avx2;
            }
        }
        Self::Plain
    }
}

/// A vector of `LEN` elements.
///
/// # Safety
/// Implementors name a processor feature; every method may be called only where that feature is present.
pub(crate) unsafe trait Vector<T: Copy>: Copy {
    const LEN: usize;
    /// # Safety
    /// The feature is present and `LEN` elements can be read at `from`.
    unsafe fn load(from: *const T) -> Self;
    /// # Safety
    /// The feature is present and `LEN` elements can be written at `to`.
    unsafe fn store(self, to: *mut T);
    /// # Safety
    /// The feature is present.
    unsafe fn splat(x: T) -> Self;
    /// `self + a·b`.
    ///
    /// # Safety
    /// The feature is present.
    unsafe fn add_product(self, a: Self, b: Self) -> Self;
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Vector;
    use core::arch::x86_64::*;

    macro_rules! vector {
        ($reg:ty, $scalar:ty, $len:expr, $load:ident, $store:ident, $set:ident, $fma:ident) => {
            // SAFETY: the methods only forward to intrinsics of the register's own feature.
            unsafe impl Vector<$scalar> for $reg {
                const LEN: usize = $len;
                #[inline(always)]
                unsafe fn load(from: *const $scalar) -> Self {
                    // SAFETY: the caller's duty.
                    unsafe { $load(from) }
                }
                #[inline(always)]
                unsafe fn store(self, to: *mut $scalar) {
                    // SAFETY: the caller's duty.
                    unsafe { $store(to, self) }
                }
                #[inline(always)]
                unsafe fn splat(x: $scalar) -> Self {
                    // SAFETY: the caller's duty.
                    unsafe { $set(x) }
                }
                #[inline(always)]
                unsafe fn add_product(self, a: Self, b: Self) -> Self {
                    // SAFETY: the caller's duty.
                    unsafe { $fma(a, b, self) }
                }
            }
        };
    }
    vector!(__m512, f32, 16, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_set1_ps, _mm512_fmadd_ps);
    vector!(__m512d, f64, 8, _mm512_loadu_pd, _mm512_storeu_pd, _mm512_set1_pd, _mm512_fmadd_pd);
    vector!(__m256, f32, 8, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_set1_ps, _mm256_fmadd_ps);
    vector!(__m256d, f64, 4, _mm256_loadu_pd, _mm256_storeu_pd, _mm256_set1_pd, _mm256_fmadd_pd);
}

macro_rules! plain {
    ($scalar:ty) => {
        // SAFETY: plain code needs no feature.
        unsafe impl Vector<$scalar> for [$scalar; 4] {
            const LEN: usize = 4;
            #[inline(always)]
            unsafe fn load(from: *const $scalar) -> Self {
                // SAFETY: the caller's duty.
                unsafe { from.cast::<[$scalar; 4]>().read_unaligned() }
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut $scalar) {
                // SAFETY: the caller's duty.
                unsafe { to.cast::<[$scalar; 4]>().write_unaligned(self) }
            }
            #[inline(always)]
            unsafe fn splat(x: $scalar) -> Self {
                [x; 4]
            }
            #[inline(always)]
            unsafe fn add_product(self, a: Self, b: Self) -> Self {
                core::array::from_fn(|i| self[i] + a[i] * b[i])
            }
        }
    };
}
plain!(f32);
plain!(f64);
