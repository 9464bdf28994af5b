//! Where arithmetic runs. Now: the processor's vectors, for the proof checker.

mod proof_kernel;

pub use proof_kernel::ProofKernel;
