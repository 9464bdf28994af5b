//! A small fixed network, until an artifact takes its place.

use certus_core::{Dense, Layer, Network, infer};

pub use certus_core::ShapeError as Error;

/// Inputs.
pub const INPUTS: usize = 5;
/// Outputs.
pub const OUTPUTS: usize = 5;
const WIDTH: usize = 16;

const fn fill<const N: usize>(mut seed: u32) -> [f32; N] {
    let mut out = [0.0; N];
    let mut i = 0;
    while i < N {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        out[i] = (seed >> 8) as f32 / 16_777_216.0 - 0.5;
        i += 1;
    }
    out
}

static W1: [f32; WIDTH * INPUTS] = fill(1);
static W2: [f32; WIDTH * WIDTH] = fill(2);
static W3: [f32; OUTPUTS * WIDTH] = fill(3);
static B: [f32; WIDTH] = fill(4);

/// Runs the network at `x`.
pub fn run(x: &[f32; INPUTS], y: &mut [f32; OUTPUTS]) -> Result<(), Error> {
    let layers = [
        Layer::dense(Dense::new(WIDTH, INPUTS, &W1, &B)?, true),
        Layer::dense(Dense::new(WIDTH, WIDTH, &W2, &B)?, true),
        Layer::dense(Dense::new(OUTPUTS, WIDTH, &W3, &B[..OUTPUTS])?, false),
    ];
    let network = Network::new(&layers)?;
    let mut scratch = [0.0; 2 * WIDTH];
    infer::forward(&network, x, &mut scratch, y)
}
