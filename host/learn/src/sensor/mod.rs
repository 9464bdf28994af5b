//! What sensors give, as features that a network reads.
//!
//! | sensor | module |
//! | --- | --- |
//! | a microphone | [`logmel`] |
//! | recorded spoken digits | [`digits`] |

pub mod digits;
pub mod logmel;
