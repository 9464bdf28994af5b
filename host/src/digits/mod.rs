//! Spoken digits, from data to a monitored device: what `certus quickstart` does, each step a file.
//!
//! A sample is one second of speech as 32 × 20 log-mel features ([`certus_learn::sensor::logmel`]), each a number from 0 to 255. The radius that a
//! network is certified at is one decibel on every one of the 640 features independently. It is a radius in the space of features: *what
//! noises of the sound stay within it is not known*, and nothing here claims anything about them.
//!
//! Hyper-parameters were chosen on a part of the training recordings; the test recordings (the first five takes of each digit and speaker) are
//! evaluated once, at the end.

pub mod data;
pub mod evaluate;
pub mod noise;
pub mod page;
pub mod recipe;
pub mod regions;
pub mod results;
pub mod run;

#[cfg(test)]
mod tests;

/// What everything that holds weights learned from the recordings says about itself.
pub const NOTICE: &str = "Network trained on the Free Spoken Digit Dataset \
    (https://github.com/Jakobovski/free-spoken-digit-dataset; Z. Jackson, C. Souza, J. Flaks, Y. Pan, H. Nicolas, A. Thite and its speakers), \
    licensed CC BY-SA 4.0 (https://creativecommons.org/licenses/by-sa/4.0/). The recordings were turned into log-mel features, \
    and weights were learned from those.";

/// What a certificate is about, in one sentence.
pub const ABOUT: &str = "The certificate is about features, not about sound: it says that no change of up to the radius, in each of the 640 \
    log-mel features independently, changes the answer. Which noises of the sound stay within that is not known.";
