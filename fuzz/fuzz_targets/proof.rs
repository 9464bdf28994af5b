//! Any bytes as a proof file of a small network, as a chain and as a program: reading and checking are total, a file of another
//! question is refused, and nothing proves a false statement.
#![no_main]

use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use certus_core::proof::Meaning;
use certus_engine::property::{Property, parse_vnnlib_str};
use certus_engine::verify::CaseProof;
use certus_engine::verify::proof_file::{CheckOptions, Identity, Reader, check, identify, write};
use certus_engine::{Chain, Model, OwnedAffine, OwnedLayer};
use libfuzzer_sys::fuzz_target;

/// Largest tree.
const LIMIT: u64 = 1 << 20;

/// `|x₀| + |x₁|` of four ReLUs, and a violation that exists: `y ≤ 0.5` somewhere on `[−1, 2]²`.
fn questions() -> &'static [(Model, Property, Identity); 2] {
    static QUESTIONS: OnceLock<[(Model, Property, Identity); 2]> = OnceLock::new();
    QUESTIONS.get_or_init(|| {
        let dense = |rows, cols, weights| OwnedAffine::Dense { rows, cols, weights, bias: vec![0.0; rows] };
        let split = vec![1.0, 0.0, -1.0, 0.0, 0.0, 1.0, 0.0, -1.0];
        let layers = vec![
            OwnedLayer { affine: dense(4, 2, split), relu: true },
            OwnedLayer { affine: dense(1, 4, vec![1.0; 4]), relu: false },
        ];
        let chain = Chain::new(layers).expect("a chain");
        let program = Model::Program(chain.to_program().expect("a program"));
        let text = "(declare-const X_0 Real)(declare-const X_1 Real)(declare-const Y_0 Real)\
            (assert (>= X_0 -1))(assert (<= X_0 2))(assert (>= X_1 -1))(assert (<= X_1 2))(assert (<= Y_0 0.5))";
        let property = parse_vnnlib_str(text).expect("a property");
        [Model::Chain(chain), program].map(|model| {
            let identity = identify(&model, &property, Meaning::Real, [[1; 32], [0; 32], [2; 32]]);
            (model, property.clone(), identity)
        })
    })
}

fuzz_target!(|bytes: &[u8]| {
    for (model, property, identity) in questions() {
        // As a file, and as the tree of a file that is otherwise right.
        let proof = CaseProof { cases: vec![0], bytes: bytes.to_vec() };
        let written = write(identity, &[proof], LIMIT).unwrap_or_default();
        for file in [bytes, written.as_slice()] {
            let Ok(mut reader) = Reader::new(file, file.len() as u64, LIMIT) else { continue };
            let options = CheckOptions { threads: 1, plain: true, stop: &AtomicBool::new(false) };
            let answer = check(&mut reader, identity, model, property, options);
            let error = answer.expect_err("0 lies in the box, and y is 0 there");
            assert!(!error.to_string().contains('\n'));
        }
    }
});
