//! Lines of piecewise linear functions, jumps included, from the vertices of their graph.
//!
//! The hull of the graph on an interval is the hull of its vertices: the ends, the kinks inside, and both sides of each jump.
//! Let the edges of the lower hull have the slopes `e₀ < e₁ < …`. A lower line that touches has a slope in `[e₀, e_m]`
//! (others are looser everywhere); alpha runs through them evenly, `slope = e₀` at 0 and `e_m` at 1, interpolated
//! between neighbours, and the line goes through the vertex that the two share. For ReLU that is the usual free slope.
//! The upper line is that of `−f`, so its alpha 0 is the steepest slope.
//!
//! The line of least area is the edge over the centre of the interval (see `curve`); on a tie the one on the left,
//! as in CROWN's rule for ReLU (slope 1 only if `upper > −lower`).

use super::{Alpha, Line, Pair, line::Rate};

/// Most vertices that a function here has on an interval.
const VERTICES: usize = 8;

/// A chain of vertices, no heap.
#[derive(Clone, Copy)]
struct Chain {
    points: [[f64; 2]; VERTICES],
    len: usize,
}

impl Chain {
    /// The lower hull of points in order of `x`, `sign` 1, or of their negation, `sign` −1.
    fn lower(vertices: &[[f64; 2]], sign: f64) -> Self {
        let mut chain = Self { points: [[0.0; 2]; VERTICES], len: 0 };
        for [x, y] in vertices.iter().copied() {
            let y = sign * y;
            // Of points above one another only the lowest can be on the hull.
            if chain.len > 0 && chain.points[chain.len - 1][0] == x {
                if chain.points[chain.len - 1][1] <= y {
                    continue;
                }
                chain.len -= 1;
            }
            while chain.len >= 2
                && !turns_left(chain.points[chain.len - 2], chain.points[chain.len - 1], [x, y])
            {
                chain.len -= 1;
            }
            chain.points[chain.len] = [x, y];
            chain.len += 1;
        }
        chain
    }

    fn edges(&self) -> usize {
        self.len - 1
    }

    fn slope(&self, edge: usize) -> f64 {
        let ([a, fa], [b, fb]) = (self.points[edge], self.points[edge + 1]);
        (fb - fa) / (b - a)
    }

    /// Alpha of the edge over the centre.
    fn start(&self) -> f64 {
        if self.len < 3 {
            return 0.0;
        }
        let centre = 0.5 * self.points[0][0] + 0.5 * self.points[self.len - 1][0];
        let edge = (0..self.edges()).find(|i| centre <= self.points[i + 1][0]).unwrap_or(self.edges() - 1);
        edge as f64 / (self.edges() - 1) as f64
    }

    fn line(&self, alpha: f64, slopes: (f64, f64)) -> Line {
        match self.len {
            1 => Line::through(0.0, self.points[0]),
            2 => self.only_edge(slopes),
            _ => {
                let steps = (self.edges() - 1) as f64;
                let position = alpha.clamp(0.0, 1.0) * steps;
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "few edges")]
                let edge = (position as usize).min(self.edges() - 2);
                let (left, right) = (self.slope(edge), self.slope(edge + 1));
                let touch = self.points[edge + 1];
                let rate = (right - left) * steps;
                Line {
                    slope: left + (right - left) * (position - edge as f64),
                    touch,
                    by_alpha: Rate { slope: rate, intercept: -touch[0] * rate },
                    ..Line::default()
                }
            }
        }
    }

    /// The secant, and how it moves when `f` has the given slopes at the ends.
    fn only_edge(&self, (slope_lower, slope_upper): (f64, f64)) -> Line {
        let slope = self.slope(0);
        let ([lower, at_lower], width) = (self.points[0], self.points[1][0] - self.points[0][0]);
        let (by_lower, by_upper) = ((slope - slope_lower) / width, (slope_upper - slope) / width);
        Line {
            slope,
            touch: [lower, at_lower],
            by_alpha: Rate::default(),
            by_lower: Rate { slope: by_lower, intercept: slope_lower - slope - lower * by_lower },
            by_upper: Rate { slope: by_upper, intercept: -lower * by_upper },
        }
    }
}

fn turns_left([ax, ay]: [f64; 2], [bx, by]: [f64; 2], [cx, cy]: [f64; 2]) -> bool {
    (bx - ax) * (cy - ay) - (by - ay) * (cx - ax) > 0.0
}

/// The graph's vertices on an interval, in order of `x`, and the slopes of the function at the ends (for derivatives).
pub(super) struct Graph {
    points: [[f64; 2]; VERTICES],
    len: usize,
    slopes: (f64, f64),
}

impl Graph {
    pub(super) fn new(slope_lower: f64, slope_upper: f64) -> Self {
        Self { points: [[0.0; 2]; VERTICES], len: 0, slopes: (slope_lower, slope_upper) }
    }
    /// Adds a vertex to the right of (or above or below) the last one.
    pub(super) fn push(&mut self, x: f64, y: f64) {
        self.points[self.len] = [x, y];
        self.len += 1;
    }
    pub(super) fn lines(&self, alpha: Alpha<f64>) -> Pair {
        let points = &self.points[..self.len];
        let (a, b) = self.slopes;
        let lower = Chain::lower(points, 1.0).line(alpha.lower, (a, b));
        let negated = Chain::lower(points, -1.0).line(alpha.upper, (-a, -b));
        Pair { lower, upper: Pair::exact(negated).negate().lower }
    }
    pub(super) fn start(&self) -> Alpha<f64> {
        let points = &self.points[..self.len];
        Alpha { lower: Chain::lower(points, 1.0).start(), upper: Chain::lower(points, -1.0).start() }
    }
}
