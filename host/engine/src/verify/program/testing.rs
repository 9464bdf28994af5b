//! A small network and a property of it, for tests.

use std::sync::Arc;

use crate::program::{Builder, Constants, Function, Map, Program};
use crate::property::{Case, Disjunct, InputBox, Property, Row};
use certus_core::program::Slot;

/// Numbers in `[−1, 1)`.
pub fn numbers(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }
}

/// Three inputs, four layers of eight ReLUs, two outputs.
pub fn deep(seed: u64) -> Program {
    let mut number = numbers(seed);
    let mut builder = Builder::new(3);
    let mut slot = Slot::INPUT;
    for (cols, rows) in [(3usize, 8usize), (8, 8), (8, 8), (8, 8), (8, 2)] {
        let weights = Arc::new((0..rows * cols).map(|_| number()).collect());
        let bias = Some(Constants::exact((0..rows).map(|_| 0.3 * number()).collect()));
        slot = builder.affine("dense", slot, Map::Dense { count: 1, rows, cols, weights }, bias).unwrap();
        if rows > 2 {
            slot = builder.elementwise("relu", slot, Function::Relu).unwrap();
        }
    }
    builder.finish(slot).unwrap()
}

/// Three inputs from `lower` to `upper`: is the first output less the second at most `least` somewhere?
pub fn property(lower: f32, upper: f32, least: f64) -> Property {
    let region = InputBox {
        lower: vec![lower.into(); 3],
        upper: vec![upper.into(); 3],
        witness_lower: vec![lower; 3],
        witness_upper: vec![upper; 3],
    };
    let row = Row { coefficients: vec![1.0, -1.0], rhs_lower: least, rhs_upper: least, strict: false };
    let case = Case { region, disjuncts: vec![Disjunct { rows: vec![row] }] };
    Property { inputs: 3, outputs: 2, cases: vec![case] }
}
