//! α,β-CROWN of many domains of a program: time of one core per lane and iteration, and how far the bounds get:
//! `CERTUS_DATA=… cargo bench -p certus-engine --bench program_lanes [-- CASE]`.
//!
//! A tree of value splits (BaBSR's estimate of both branches) is grown to 32 open domains below the joint root, each level bounded by
//! [`optimise`] from the parents' slopes. Beside it stand α,β-CROWN's recorded CPU times for a whole instance and the domains it visited
//! (golden/verification, spec 1.1): its root included, so the ratio flatters us where few domains were visited.

use certus_engine::bounds::program::batch::{
    Found, Lane, LaneClimb, Node, Score, Split, Start, climb_with_slopes, optimise, rebound,
};
use certus_engine::bounds::program::{Climb, Intermediate, Interval, Prepared, Region, Settings, Spec, Stop};
use certus_engine::{graph, property};
use std::path::{Path, PathBuf};
use std::time::Instant;

struct Case {
    name: &'static str,
    files: [&'static str; 2],
    /// Seconds and domains of α,β-CROWN.
    rival: (f64, f64),
}

const CASES: [Case; 2] = [
    Case {
        name: "resnet_2b",
        files: ["cifar10_resnet/onnx/resnet_2b.onnx.gz", "cifar10_resnet/vnnlib/prop_32_eps_0.008.vnnlib.gz"],
        rival: (25.8, 8.0),
    },
    Case {
        name: "oval_base",
        files: [
            "oval21/onnx/cifar_base_kw.onnx.gz",
            "oval21/vnnlib/cifar_base_kw-img6638-eps0.02065359477124183.vnnlib.gz",
        ],
        rival: (29.0, 402.0),
    },
];

fn main() {
    let Some(data) = std::env::var_os("CERTUS_DATA").map(PathBuf::from) else {
        println!("CERTUS_DATA is not set: nothing was measured");
        return;
    };
    let filter = std::env::args().skip(1).find(|a| !a.starts_with("--")).unwrap_or_default();
    for case in CASES.iter().filter(|c| c.name.contains(&filter)) {
        measure(&data.join("benchmarks/vnncomp2021"), case);
    }
}

/// An open domain.
struct Open {
    splits: Vec<Split>,
    intervals: Vec<Interval>,
    start: Start,
    scores: Vec<Score>,
}

/// What all levels share.
struct Level<'a> {
    net: &'a Prepared,
    region: Region<'a>,
    spec: &'a Spec,
    row: usize,
}

fn measure(base: &Path, case: &Case) {
    let program = graph::load_program(&base.join(case.files[0])).expect("the network lowers");
    let property = property::load_property(&base.join(case.files[1])).expect("the property loads");
    let first = &property.cases[0];
    let [lower, upper] =
        [&first.region.lower, &first.region.upper].map(|x| x.iter().map(|x| *x as f32).collect::<Vec<f32>>());
    let region = Region { lower: &lower, upper: &upper };
    let mut spec = Spec { weights: Vec::new(), bias: Vec::new() };
    for row in first.disjuncts.iter().flat_map(|d| &d.rows) {
        spec.weights.extend(row.coefficients.iter().map(|c| *c as f32));
        spec.bias.push(-row.rhs_upper as f32);
    }
    let net = Prepared::new(&program);
    let settings = Settings { intermediate: Intermediate::Intersected, ..Settings::default() };
    let climb = Climb { stop_when_positive: false, ..Climb::default() };
    let begin = Instant::now();
    let (root, slopes) =
        climb_with_slopes(&net, region.into(), &spec, &settings, &climb, Stop::default()).expect("a root");
    println!("lanes/{:<10} joint root {:8.1} ms", case.name, 1e3 * begin.elapsed().as_secs_f64());
    let row = (0..root.rows.len()).min_by(|a, b| root.rows[*a].total_cmp(&root.rows[*b])).expect("a row");
    let level = Level { net: &net, region, spec: &spec, row };
    let alpha = slopes.rows[row].clone();
    let start = Start { alpha, beta: Vec::new() };
    let mut open = vec![Open { splits: Vec::new(), intervals: root.slots, start, scores: Vec::new() }];
    level.report(case, &mut open);
    for _ in 0..5 {
        open = open.iter().flat_map(|domain| level.children(domain)).collect();
        level.report(case, &mut open);
    }
}

impl Level<'_> {
    /// Both halves of a domain that are not empty.
    fn children(&self, domain: &Open) -> Vec<Open> {
        let score = |s: &Score| s.branches[0].max(s.branches[1]).max(0.2 * s.intercept);
        let best = domain.scores.iter().max_by(|a, b| score(a).total_cmp(&score(b)));
        let Some(Score { slot, element, .. }) = best.copied() else { return Vec::new() };
        let settings = Settings { intermediate: Intermediate::Interval, ..Settings::default() };
        let child = |above| {
            let mut splits = domain.splits.clone();
            splits.push(Split { slot, element, point: 0.0, above });
            let node = Node { region: self.region, splits: &splits, parent: Some(&domain.intervals) };
            let bounds = rebound(self.net, &[node], &settings, Stop::default()).expect("bounds");
            let intervals = bounds.into_iter().next().flatten()?;
            Some(Open { splits, intervals, start: domain.start.clone(), scores: Vec::new() })
        };
        [true, false].into_iter().filter_map(child).collect()
    }

    /// Climbs all domains and says how fast and how far.
    fn report(&self, case: &Case, open: &mut [Open]) {
        let how = LaneClimb { stop_when_positive: false, give_up: false, ..LaneClimb::default() };
        let lanes: Vec<Lane<'_>> = open
            .iter()
            .map(|domain| Lane {
                region: self.region,
                intervals: &domain.intervals,
                row: self.row,
                splits: &domain.splits,
                start: Some(&domain.start),
            })
            .collect();
        let (mut best, mut found): (f64, Vec<Found>) = (f64::INFINITY, Vec::new());
        for _ in 0..5 {
            let begin = Instant::now();
            found = optimise(self.net, self.spec, &lanes, &how, Stop::default()).expect("bounds");
            best = best.min(1e3 * begin.elapsed().as_secs_f64());
        }
        let n = lanes.len() as f64;
        let mean = found.iter().map(|f| f64::from(f.bound)).sum::<f64>() / n;
        let least = found.iter().map(|f| f.bound).fold(f32::INFINITY, f32::min);
        // A pass before the first step, and one more for the scores.
        let each = best / (n * (how.iterations + 2) as f64);
        println!(
            "lanes/{:<10} {n:3} domains {:7.3} ms per domain, {each:.4} ms per iteration   bounds: mean {mean:.5} least {least:.5}   \
             α,β-CROWN {:.0} ms per domain",
            case.name,
            best / n,
            1e3 * case.rival.0 / case.rival.1
        );
        for (domain, found) in open.iter_mut().zip(found) {
            (domain.start, domain.scores) = (found.start, found.scores);
        }
    }
}
