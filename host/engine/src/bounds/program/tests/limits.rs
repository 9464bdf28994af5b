//! Memory, threads, deadline.

use std::sync::atomic::AtomicBool;

use super::super::{BoundError, Climb, Intermediate, Prepared, Region, Settings, Spec, Stop, bound, climb};
use super::{Kind, Random, kinds, program, region};

fn rows(n: usize) -> Spec {
    Spec { weights: Random::new(5).many(40 * n, 1.0), bias: vec![0.1; 40] }
}

#[test]
fn a_memory_limit_is_honoured_and_what_does_not_fit_is_looser_but_there() {
    let program = program(Kind::Conv, 3);
    let net = Prepared::new(&program);
    let (lower, upper) = region(&mut Random::new(4), 0.5);
    let region = Region { lower: &lower, upper: &upper };
    let spec = rows(program.outputs());
    let run = |memory_limit: usize| {
        let settings = Settings { memory_limit, ..Settings::default() };
        bound(&net, region, &spec, &settings, Stop::default())
    };
    let free = run(1 << 30).unwrap();
    assert!(free.complete && free.peak_bytes > 0);
    let exact = run(free.peak_bytes).unwrap();
    assert_eq!((exact.rows, exact.complete), (free.rows.clone(), true));
    // Less and less: first smaller blocks, then intervals, then an error that names the limit; never more than the limit.
    let mut refused = false;
    for limit in (0..free.peak_bytes).rev().step_by(256) {
        match run(limit) {
            Ok(bounds) => {
                assert!(!refused && bounds.peak_bytes <= limit, "{} of {limit} bytes", bounds.peak_bytes);
                assert_eq!(bounds.rows.len(), free.rows.len());
            }
            Err(BoundError::Memory { limit: named, needed }) => {
                assert!(named == limit && needed > limit);
                refused = true;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused);
}

#[test]
fn climbing_honours_the_limit_too() {
    let program = program(Kind::Residual, 3);
    let net = Prepared::new(&program);
    let (lower, upper) = region(&mut Random::new(4), 0.5);
    let region = Region { lower: &lower, upper: &upper };
    let spec = rows(program.outputs());
    let how = Climb { iterations: 3, stop_when_positive: false, ..Climb::default() };
    let run = |memory_limit: usize| {
        let settings = Settings { memory_limit, ..Settings::default() };
        climb(&net, region.into(), &spec, &settings, &how, Stop::default())
    };
    let free = run(1 << 30).unwrap();
    assert!(free.complete);
    for limit in (1024..free.peak_bytes).step_by(1024) {
        if let Ok(bounds) = run(limit) {
            assert!(bounds.peak_bytes <= limit && !bounds.complete, "{} of {limit} bytes", bounds.peak_bytes);
        }
    }
}

#[test]
fn threads_do_not_change_a_bound() {
    for kind in kinds() {
        let program = program(kind, 11);
        let net = Prepared::new(&program);
        let (lower, upper) = region(&mut Random::new(12), 0.3);
        let region = Region { lower: &lower, upper: &upper };
        let spec = rows(program.outputs());
        let run = |threads: usize| {
            let settings = Settings { threads, ..Settings::default() };
            let how = Climb { iterations: 4, stop_when_positive: false, ..Climb::default() };
            climb(&net, region.into(), &spec, &settings, &how, Stop::default()).unwrap()
        };
        let (one, three) = (run(1), run(3));
        assert_eq!((one.rows, one.slots), (three.rows, three.slots), "{kind:?}");
    }
}

#[test]
fn a_set_flag_stops_before_the_first_block() {
    let program = program(Kind::Dense, 1);
    let net = Prepared::new(&program);
    let (lower, upper) = region(&mut Random::new(2), 0.3);
    let region = Region { lower: &lower, upper: &upper };
    let flag = AtomicBool::new(true);
    let stop = Stop { flag: Some(&flag), ..Stop::default() };
    let spec = rows(program.outputs());
    let settings = Settings { intermediate: Intermediate::Default, ..Settings::default() };
    assert_eq!(bound(&net, region, &spec, &settings, stop), Err(BoundError::Stopped));
}
