//! A certus monitor on a microcontroller: what the programs in `bin/` share.
#![no_std]

pub mod board;
#[path = "../room/forecast.rs"]
pub mod forecast;
pub mod hex;
#[path = "../motion/motion.rs"]
pub mod motion;
pub mod motion_replay;
#[path = "../room/occupancy.rs"]
pub mod occupancy;
pub mod replay;
pub mod room_replay;
pub mod samples;
// `surrogate`, the module that `certus export` wrote beside the artifact.
include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

#[cfg(target_arch = "arm")]
pub use cortex_m_rt::entry;
#[cfg(target_arch = "riscv32")]
pub use riscv_rt::entry;

// Linked for their symbols: the defmt transport and the critical sections that it asks for.
#[cfg(target_arch = "arm")]
use cortex_m as _;
use defmt_semihosting as _;
#[cfg(target_arch = "riscv32")]
use riscv as _;

/// States of one recorded encounter, `[time, feature]`, raw units (`assets/trajectory.csv`).
pub static TRAJECTORY: &[[f32; surrogate::INPUTS]] = include!(concat!(env!("OUT_DIR"), "/trajectory.rs"));

/// Test series of the motion data one after the other, `[time, channel]`, raw units (`motion/stream.csv`).
pub static MOTION_STREAM: &[[f32; motion_replay::CHANNELS]] =
    include!(concat!(env!("OUT_DIR"), "/stream.rs"));
