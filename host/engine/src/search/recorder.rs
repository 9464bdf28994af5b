//! Where a search notes what its trees become, so that another run can go on from there.

/// Takes notes of trees, each named by a digest of its case. Called from any thread.
pub trait Recorder: Send + Sync {
    /// Takes note of an event; those of one tree come in the order in which they happen.
    fn record(&self, key: &[u8; 32], event: &[u8]);

    /// The events of a tree that an earlier run noted, one after the other.
    fn recorded(&self, key: &[u8; 32]) -> Option<Vec<u8>>;
}
