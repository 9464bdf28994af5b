//! Rules against their formulas in `f64`, step after step; schedules at their ends and joints.

use super::{Average, Moments, Optimizer, Ramp, Rate, Rule, clip};

/// The gradient of a bowl with its middle at 1: `Σ k (w_k − 1)²/2`.
fn gradient(w: &[f64]) -> Vec<f64> {
    w.iter().enumerate().map(|(k, w)| (k + 1) as f64 * (w - 1.0)).collect()
}

/// Formulas as in the module's table, one number after the other.
fn plain(rule: Rule, decay: f64, rate: f64, steps: usize, start: &[f64]) -> Vec<f64> {
    let n = start.len();
    let (mut w, mut m, mut v) = (start.to_vec(), vec![0.0; n], vec![0.0; n]);
    for t in 1..=steps {
        let g = gradient(&w);
        let mut moves = vec![0.0; n];
        for k in 0..n {
            let f = |x: f32| f64::from(x);
            let decayed = g[k] + decay * w[k];
            let mut adam = |g: f64, moments: Moments| {
                let [b1, b2] = moments.betas.map(f64::from);
                m[k] = b1 * m[k] + (1.0 - b1) * g;
                v[k] = b2 * v[k] + (1.0 - b2) * g * g;
                let (mean, square) = (m[k] / (1.0 - b1.powi(t as i32)), v[k] / (1.0 - b2.powi(t as i32)));
                mean / (square.sqrt() + f(moments.epsilon))
            };
            moves[k] = match rule {
                Rule::Sgd { momentum, dampening, nesterov } => {
                    m[k] = if t == 1 { decayed } else { f(momentum) * m[k] + (1.0 - f(dampening)) * decayed };
                    if nesterov { decayed + f(momentum) * m[k] } else { m[k] }
                }
                Rule::Adam(moments) => adam(decayed, moments),
                Rule::AdamW(moments) | Rule::Lamb(moments) => adam(g[k], moments) + decay * w[k],
                Rule::RmsProp { smoothing, epsilon, momentum } => {
                    v[k] = f(smoothing) * v[k] + (1.0 - f(smoothing)) * decayed * decayed;
                    m[k] = f(momentum) * m[k] + decayed / (v[k].sqrt() + f(epsilon));
                    m[k]
                }
                Rule::Lion { betas: [b1, b2] } => {
                    let sign = (f(b1) * m[k] + (1.0 - f(b1)) * g[k]).signum();
                    m[k] = f(b2) * m[k] + (1.0 - f(b2)) * g[k];
                    sign + decay * w[k]
                }
            };
        }
        let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
        let trust = if matches!(rule, Rule::Lamb(_)) { norm(&w) / norm(&moves) } else { 1.0 };
        w.iter_mut().zip(&moves).for_each(|(w, m)| *w -= rate * trust * m);
    }
    w
}

#[test]
fn every_rule_is_its_formula() {
    let start = [3.0, -2.0, 0.5, 7.0, -0.25];
    let rules = [
        Rule::Sgd { momentum: 0.0, dampening: 0.0, nesterov: false },
        Rule::Sgd { momentum: 0.9, dampening: 0.1, nesterov: false },
        Rule::Sgd { momentum: 0.9, dampening: 0.0, nesterov: true },
        Rule::Adam(Moments::default()),
        Rule::AdamW(Moments::default()),
        Rule::RmsProp { smoothing: 0.99, epsilon: 1e-8, momentum: 0.5 },
        Rule::Lamb(Moments::default()),
        Rule::Lion { betas: [0.9, 0.99] },
    ];
    for rule in rules {
        for decay in [0.0f32, 0.1] {
            let mut w: Vec<f32> = start.iter().map(|x| *x as f32).collect();
            let mut optimizer = Optimizer::new(rule, decay, [2, 3]);
            for _ in 0..20 {
                let wide: Vec<f64> = w.iter().map(|x| f64::from(*x)).collect();
                let g: Vec<f32> = gradient(&wide).iter().map(|x| *x as f32).collect();
                if matches!(rule, Rule::Lamb(_)) {
                    continue;
                }
                let (a, b) = w.split_at_mut(2);
                optimizer.step([a, b], &[&g[..2], &g[2..]], 0.01, 1.0);
            }
            if matches!(rule, Rule::Lamb(_)) {
                // Its trust is that of a whole tensor.
                optimizer = Optimizer::new(rule, decay, [5]);
                for _ in 0..20 {
                    let wide: Vec<f64> = w.iter().map(|x| f64::from(*x)).collect();
                    let g: Vec<f32> = gradient(&wide).iter().map(|x| *x as f32).collect();
                    optimizer.step([w.as_mut_slice()], &[&g], 0.01, 1.0);
                }
            }
            for (found, right) in w.iter().zip(plain(rule, f64::from(decay), f64::from(0.01f32), 20, &start))
            {
                assert!(
                    (f64::from(*found) - right).abs() < 1e-4,
                    "{rule:?}, decay {decay}: {found}, not {right}"
                );
            }
        }
    }
}

#[test]
fn gradients_are_clipped_together() {
    let (a, b) = (vec![3.0f32; 5000], vec![4.0f32; 5000]);
    let (factor, norm) = clip(&[&a, &b], 10.0);
    let right = (5000.0f64 * 25.0).sqrt();
    assert!((norm - right).abs() < 1e-3 * right && (f64::from(factor) * right - 10.0).abs() < 1e-3);
    assert_eq!(clip(&[&a[..1]], 10.0), (1.0, 3.0), "what is short stays");
}

#[test]
fn ramps_meet_their_ends_and_joints() {
    let ramp = Ramp::Smoothed { between: [100, 500], middle: 0.25 };
    assert_eq!([ramp.at(0), ramp.at(100), ramp.at(500), ramp.at(900)], [0.0, 0.0, 1.0, 1.0]);
    let slope = |s: u64| ramp.at(s + 1) - ramp.at(s);
    assert!((slope(199) / slope(201) - 1.0).abs() < 0.05, "no kink where the line begins");
    assert!((slope(300) - slope(450)).abs() < 1e-12, "a line behind");
    assert!((100..500).all(|s| slope(s) > 0.0));
    // The formula of the published scheduler: a = 1/((s1 − sm)·4·m³ + m⁴).
    let a = 1.0 / (300.0 * 4.0 * 100f64.powi(3) + 100f64.powi(4));
    assert!((ramp.at(150) - a * 50f64.powi(4)).abs() < 1e-12);
    assert_eq!(Ramp::Linear { between: [10, 20] }.at(15), 0.5);
}

#[test]
fn rates_rise_fall_and_end() {
    let steps = Rate::Steps { at: vec![50, 60], factor: 0.2 };
    assert_eq!([steps.at(0, 0), steps.at(49, 0), steps.at(50, 0)], [1.0, 1.0, 0.2]);
    assert!((steps.at(60, 0) - 0.04).abs() < 1e-12);
    assert_eq!(Rate::Constant.at(4, 10), 0.5);
    let cosine = Rate::Cosine { total: 100, floor: 0.1 };
    assert_eq!(cosine.at(0, 0), 1.0);
    assert!((cosine.at(50, 0) - 0.55).abs() < 1e-12 && (cosine.at(200, 0) - 0.1).abs() < 1e-12);
}

#[test]
fn averages_are_means() {
    let mut plain = Average::new(None, [1]);
    let mut fading = Average::new(Some(0.5), [1]);
    for x in [1.0f32, 2.0, 6.0] {
        plain.add([[x].as_slice()]);
        fading.add([[x].as_slice()]);
    }
    assert!((plain.tensors[0][0] - 3.0).abs() < 1e-6);
    assert!((fading.tensors[0][0] - 3.75).abs() < 1e-6);
}

#[test]
fn threads_and_divisions_change_no_bit() {
    let n = 2 * super::SHARE + 17;
    let mut random = crate::model::Random(3);
    let mut draw = || -> Vec<f32> { (0..n).map(|_| random.normal() as f32).collect() };
    let (start, gradients) = (draw(), [draw(), draw(), draw()]);
    let rules = [
        Rule::Sgd { momentum: 0.9, dampening: 0.1, nesterov: true },
        Rule::Adam(Moments::default()),
        Rule::RmsProp { smoothing: 0.99, epsilon: 1e-8, momentum: 0.5 },
        Rule::Lamb(Moments::default()),
        Rule::Lion { betas: [0.9, 0.99] },
    ];
    let run = |rule: Rule, sizes: &[usize], threads: usize| {
        let mut weights = start.clone();
        let mut optimizer = Optimizer::new(rule, 0.01, sizes.iter().copied());
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            for g in &gradients {
                let (factor, _) = clip(&[g], 100.0);
                let (mut rest, mut from) = (weights.as_mut_slice(), g.as_slice());
                let mut parts: Vec<(&mut [f32], &[f32])> = vec![];
                for size in sizes {
                    let (w, g);
                    (w, rest) = rest.split_at_mut(*size);
                    (g, from) = from.split_at(*size);
                    parts.push((w, g));
                }
                let slices: Vec<&[f32]> = parts.iter().map(|p| p.1).collect();
                optimizer.step(parts.into_iter().map(|p| p.0), &slices, 0.01, factor);
            }
        });
        weights
    };
    for rule in rules {
        let whole = run(rule, &[n], 1);
        assert_eq!(run(rule, &[n], 3), whole, "{rule:?}");
        if !matches!(rule, Rule::Lamb(_)) {
            // Tensors that one thread takes whole.
            let halves = [1000, super::SHARE, n - 1000 - super::SHARE];
            assert_eq!(run(rule, &halves, 1), whole, "{rule:?}");
        }
    }
    let squares: f64 = start.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
    let (factor, norm) = clip(&[&start], 1.0);
    assert!((norm / squares.sqrt() - 1.0).abs() < 1e-6 && (f64::from(factor) * norm - 1.0).abs() < 1e-6);
}
