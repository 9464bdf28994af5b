//! Threads that derive one lemma together: each propagates some blocks of its rows, and after every slot all take over what the
//! others found.
//!
//! A member that gives up, by an error or a panic, releases those that wait for it; their derivation then fails too.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use certus_core::proof::Rejection;
use certus_core::proof::program::Team;

/// What the members share.
#[derive(Debug)]
pub struct Crew {
    members: usize,
    /// Blocks that some member has taken.
    taken: AtomicUsize,
    meeting: Mutex<Meeting>,
    moved: Condvar,
}

/// The exchange under way, and what the one before came to: a member that is late still reads that while others begin the next.
#[derive(Debug, Default)]
struct Meeting {
    round: usize,
    arrived: usize,
    bounds: [(Vec<f64>, Vec<f64>); 2],
    broken: bool,
}

impl Crew {
    /// A crew for one derivation.
    pub fn new(members: usize) -> Self {
        Self {
            members,
            taken: AtomicUsize::new(0),
            meeting: Mutex::new(Meeting::default()),
            moved: Condvar::new(),
        }
    }

    /// The part of one thread; there must be as many as members.
    pub fn join(&self) -> Member<'_> {
        Member { crew: self, finished: false }
    }

    fn lock(&self) -> MutexGuard<'_, Meeting> {
        self.meeting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One thread's part in a derivation.
#[derive(Debug)]
pub struct Member<'c> {
    crew: &'c Crew,
    finished: bool,
}

impl Member<'_> {
    /// Says that the derivation has come to its end. A member that is dropped before breaks the crew.
    pub fn finish(mut self) {
        self.finished = true;
    }
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.crew.lock().broken = true;
            self.crew.moved.notify_all();
        }
    }
}

impl Team for Member<'_> {
    /// The first member to ask; all ask for all blocks in order, so block `b` is free exactly if `b` were taken.
    fn takes(&mut self, block: usize) -> bool {
        let taken = &self.crew.taken;
        taken.compare_exchange(block, block + 1, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn exchange(&mut self, lower: &mut [f64], upper: &mut [f64]) -> Result<(), Rejection> {
        let mut meeting = self.crew.lock();
        let round = meeting.round;
        let first = meeting.arrived == 0;
        let (low, high) = &mut meeting.bounds[round % 2];
        if first {
            low.clear();
            high.clear();
            low.extend_from_slice(lower);
            high.extend_from_slice(upper);
        } else if low.len() != lower.len() || high.len() != upper.len() {
            return Err(Rejection::Shape);
        } else {
            low.iter_mut().zip(&*lower).for_each(|(all, l)| *all = all.max(*l));
            high.iter_mut().zip(&*upper).for_each(|(all, u)| *all = all.min(*u));
        }
        meeting.arrived += 1;
        if meeting.arrived == self.crew.members {
            (meeting.arrived, meeting.round) = (0, round + 1);
            self.crew.moved.notify_all();
        }
        let waiting = |m: &mut Meeting| m.round == round && !m.broken;
        let meeting = self.crew.moved.wait_while(meeting, waiting).unwrap_or_else(PoisonError::into_inner);
        if meeting.round == round {
            return Err(Rejection::Shape);
        }
        let (low, high) = &meeting.bounds[round % 2];
        lower.copy_from_slice(low);
        upper.copy_from_slice(high);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_take_each_block_once_and_leave_with_the_tightest_bounds() {
        let crew = Crew::new(3);
        let rounds = 200;
        let ends: Vec<(usize, Vec<f64>)> = std::thread::scope(|scope| {
            let work = |id: usize| {
                let crew = &crew;
                move || {
                    let mut member = crew.join();
                    let (mut blocks, mut seen) = (0, Vec::new());
                    for round in 0..rounds {
                        blocks += (0..7).filter(|b| member.takes(7 * round + b)).count();
                        // Member `id` alone knows the lower end of element `id`, and the upper of the next.
                        let (mut lower, mut upper) = ([-9.0; 3], [900.0; 3]);
                        lower[id] = round as f64;
                        upper[(id + 1) % 3] = round as f64 + 1.0;
                        member.exchange(&mut lower, &mut upper).unwrap();
                        seen.extend(lower.iter().chain(&upper));
                    }
                    member.finish();
                    (blocks, seen)
                }
            };
            let threads: Vec<_> = (0..3).map(|id| scope.spawn(work(id))).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert_eq!(ends.iter().map(|(blocks, _)| blocks).sum::<usize>(), 7 * rounds);
        for (_, seen) in &ends {
            assert_eq!(seen, &ends[0].1);
            for (round, bounds) in seen.chunks_exact(6).enumerate() {
                assert_eq!(bounds, [[round as f64; 3], [round as f64 + 1.0; 3]].concat());
            }
        }
    }

    #[test]
    fn a_member_that_gives_up_releases_the_others_with_an_error() {
        let crew = Crew::new(2);
        let outcome = std::thread::scope(|scope| {
            let waits = scope.spawn(|| {
                let mut member = crew.join();
                member.exchange(&mut [0.0], &mut [1.0]).and_then(|()| member.exchange(&mut [0.0], &mut [1.0]))
            });
            let mut member = crew.join();
            member.exchange(&mut [0.5], &mut [1.0]).unwrap();
            drop(member);
            waits.join().unwrap()
        });
        assert_eq!(outcome, Err(Rejection::Shape));
    }
}
