//! The soundness campaign: verdicts against exact answers, planted counterexamples, cruel numbers, real benchmarks.

mod benchmarks;
mod campaign;
mod cruelty;
mod needles;
mod oracle;
