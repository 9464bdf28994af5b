//! A slice of what `certus selftest` runs: random networks, thresholds on either side of the exact value.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use certus_engine::selftest::{Family, Finding, Word, examine};

/// Networks of the slice.
const COUNT: u64 = 1000;

#[test]
fn verdicts_agree_with_exact_answers() {
    let stop = AtomicBool::new(false);
    let mut counts: BTreeMap<Family, [usize; 4]> = BTreeMap::new();
    let mut far = Vec::new();
    for index in 0..COUNT {
        let (family, examined) = examine(7, index, Duration::from_secs(1), &stop);
        let count = counts.entry(family).or_default();
        for one in examined {
            match one.finding {
                Finding::Agrees(Word::Unsat) => count[0] += 1,
                Finding::Agrees(Word::Sat) => count[1] += 1,
                Finding::WithinRounding | Finding::UnknownNear | Finding::UnknownHard => count[2] += 1,
                Finding::UnknownFar(why) => {
                    count[3] += 1;
                    far.push(format!("network {index} ({family:?}): {why}"));
                }
                Finding::Refused(why) => panic!("network {index} ({family:?}): refused: {why}"),
                Finding::Wrong(why) => panic!("network {index} ({family:?}): {why}"),
            }
        }
    }
    println!("family: unsat, sat, within rounding, unknown without a reason: {counts:#?}\n{far:#?}");
    assert_eq!(counts.len(), Family::ALL.len(), "every family is drawn");
    for (family, [unsat, sat, ..]) in &counts {
        assert!(*unsat >= 10 && *sat >= 10, "{family:?} decides little: {counts:?}");
    }
    // A second may be short on a machine that does much else.
    assert!(far.len() as u64 * 100 <= COUNT, "{far:#?}");
}
