//! Checkers that share the rows of a lemma come to the bounds of one alone, and to none that an exact point refutes.

mod support;

use certus_core::program::Slot;
use certus_core::proof::program::{Adaptive, Bounds, Checker, Layout, Plain, Problem, Row, Team};
use certus_core::proof::{Meaning, Rejection};
use num_rational::BigRational;
use std::sync::Barrier;
use std::sync::Mutex;
use support::{Owned, Random, Room, exact};

/// Takes each block whose number is its own modulo the members; exchanges at a barrier.
struct Half<'h> {
    id: usize,
    asked: usize,
    taken: usize,
    barrier: &'h Barrier,
    met: &'h Mutex<Vec<(Vec<f64>, Vec<f64>)>>,
}

impl Team for Half<'_> {
    fn takes(&mut self, block: usize) -> bool {
        assert_eq!(block, self.asked);
        self.asked += 1;
        let mine = block % 2 == self.id;
        self.taken += usize::from(mine);
        mine
    }
    fn exchange(&mut self, lower: &mut [f64], upper: &mut [f64]) -> Result<(), Rejection> {
        self.met.lock().unwrap().push((lower.to_vec(), upper.to_vec()));
        self.barrier.wait();
        for (l, u) in self.met.lock().unwrap().iter() {
            lower.iter_mut().zip(l).for_each(|(a, b)| *a = a.max(*b));
            upper.iter_mut().zip(u).for_each(|(a, b)| *a = a.min(*b));
        }
        if self.barrier.wait().is_leader() {
            self.met.lock().unwrap().clear();
        }
        self.barrier.wait();
        Ok(())
    }
}

#[test]
fn two_checkers_derive_what_one_does_and_nothing_false() {
    let (mut blocks, mut tested) = ([0, 0], 0);
    for seed in 0..120 {
        let mut random = Random::new(seed ^ 0x7ea3);
        let steps = 2 + random.below(5);
        let owned = Owned::random_with(&mut random, steps, support::straight_function);
        let tables = owned.tables();
        let program = support::program(&owned, &tables);
        let output = vec![1.0; program.outputs()];
        let rows = [Row { output: &output, input: &[], rhs: 0.0 }];
        let disjuncts: Vec<&[Row<'_>]> = vec![&rows];
        let problem = Problem { program, disjuncts: &disjuncts, meaning: Meaning::Real };
        let mut words = vec![0; Layout::words(&program)];
        let layout = Layout::new(&program, &mut words).unwrap();
        let lower: Vec<f64> = (0..program.inputs()).map(|_| random.unit() - 0.4).collect();
        let upper: Vec<f64> = lower.iter().map(|l| l + 0.8).collect();
        let (barrier, met) = (Barrier::new(2), Mutex::default());
        let derive = |id: Option<usize>| {
            // Few lanes, so that there are many blocks.
            let mut room = Room::new(&layout, 2);
            let mut checker = Checker::new(&problem, &layout, Plain, room.memory()).unwrap();
            let mut memory = vec![f64::NAN; layout.bounds_len()];
            let mut bounds = Bounds::new(&layout, &mut memory);
            let region: (&[f64], &[f64]) = (&lower, &upper);
            let taken = match id {
                None => {
                    assert_eq!(checker.derive(None, region, &[], &Adaptive, &mut bounds), Ok(true));
                    0
                }
                Some(id) => {
                    let mut half = Half { id, asked: 0, taken: 0, barrier: &barrier, met: &met };
                    let done = checker.derive_shared(&mut half, None, (region, &[]), &Adaptive, &mut bounds);
                    assert_eq!(done, Ok(true));
                    half.taken
                }
            };
            let slots = 0..program.slots();
            let all: Vec<_> = slots
                .map(|s| bounds.slot(&layout, Slot(s)).map(|(l, u)| (l.to_vec(), u.to_vec())).unwrap())
                .collect();
            (taken, all)
        };
        let (first, second) = std::thread::scope(|scope| {
            let other = scope.spawn(|| derive(Some(1)));
            (derive(Some(0)), other.join().unwrap())
        });
        assert_eq!(first.1, second.1, "seed {seed}");
        assert_eq!(first.1, derive(None).1, "seed {seed}");
        (blocks[0], blocks[1]) = (blocks[0] + first.0, blocks[1] + second.0);
        for _ in 0..6 {
            let x: Vec<BigRational> =
                lower.iter().zip(&upper).map(|(l, u)| exact(l + random.unit().abs() * (u - l))).collect();
            for ((l, u), values) in first.1.iter().zip(&owned.exact(&x)) {
                for ((l, u), value) in l.iter().zip(u).zip(values) {
                    assert!(exact(*l) <= *value && *value <= exact(*u), "seed {seed}");
                    tested += 1;
                }
            }
        }
    }
    assert!(blocks[0] > 100 && blocks[1] > 100 && tested > 5_000, "{blocks:?} blocks, {tested} values");
}
