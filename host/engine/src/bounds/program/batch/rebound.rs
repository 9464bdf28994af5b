//! Intermediate bounds of domains from those of their parents.

use super::super::crown::{Clip, Domain, Job, Settings, Stop};
use super::super::interval::Interval;
use super::super::memory::{BoundError, Memory};
use super::super::prepare::Prepared;
use super::{Node, Split};

/// Intermediate bounds of domains: the parent's, cut at the splits; only neurons that are still undecided are bounded again, in slots
/// after the first that changed. `None`: the domain is empty.
///
/// With [`super::super::Intermediate::Interval`] nothing is bounded again but by interval arithmetic: cheap, for domains whose parents have good
/// bounds. The threads share the domains.
///
/// # Errors
/// [`BoundError::Stopped`] if stopped before all were bounded, [`BoundError::Relax`] if a function is not defined on the bounds of its operand.
///
/// # Panics
/// If the shape of a region or of a parent's bounds does not fit `net`.
///
/// # Rounding
/// *Estimate*.
pub fn rebound(
    net: &Prepared,
    nodes: &[Node<'_>],
    settings: &Settings,
    stop: Stop<'_>,
) -> Result<Vec<Option<Vec<Interval>>>, BoundError> {
    let memory = Memory::new(settings.memory_limit);
    let alone = Settings { threads: 1, ..*settings };
    let job = Job { net, settings, stop, memory: &memory };
    let each = Job { net, settings: &alone, stop, memory: &memory };
    let mut items: Vec<_> = nodes.iter().map(|node| (node, Err(BoundError::Stopped))).collect();
    job.share(&mut items, |(node, found), _| *found = one(&each, node), |_| {});
    items.into_iter().map(|(_, found)| found).collect()
}

fn one(job: &Job<'_>, node: &Node<'_>) -> Result<Option<Vec<Interval>>, BoundError> {
    let clips: Vec<Clip> = node.splits.iter().map(clip).collect();
    let domain = Domain { region: node.region, clips: &clips };
    let (known, _) = match node.parent {
        None => job.intermediate(domain)?,
        Some(parent) => job.intermediate_below(domain, parent)?,
    };
    if known.empty {
        return Ok(None);
    }
    if job.stop.now() {
        return Err(BoundError::Stopped);
    }
    Ok(Some(known.intervals))
}

/// What a split says of the interval of its value.
fn clip(split: &Split) -> Clip {
    let (lower, upper) =
        if split.above { (split.point, f32::INFINITY) } else { (f32::NEG_INFINITY, split.point) };
    Clip { slot: split.slot, element: split.element as usize, lower, upper }
}
