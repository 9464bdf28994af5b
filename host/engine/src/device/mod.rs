//! Where arithmetic runs: the processor's vectors, for the proof checkers; HiGHS, where its library is found.

pub mod highs;
mod program_kernel;
mod proof_kernel;

pub use program_kernel::ProgramKernel;
pub use proof_kernel::ProofKernel;
