//! Where arithmetic runs. Now: the processor's vectors, for the proof checkers.

mod program_kernel;
mod proof_kernel;

pub use program_kernel::ProgramKernel;
pub use proof_kernel::ProofKernel;
