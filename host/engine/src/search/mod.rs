//! What every search shares: a budget of time, the tree of splits, a pool of open domains for several threads, progress.

pub mod budget;
pub mod bytes;
pub mod lp;
pub mod memory;
pub mod pool;
pub mod recorder;
pub mod stall;
pub mod tree;

pub use budget::{Budget, Progress, Silent, Snapshot};
pub use bytes::Bytes;
pub use pool::{Pool, Waiting};
pub use recorder::Recorder;
pub use stall::Patience;
pub use tree::{Leaf, Tree};
