//! Two measurements in turns, A B B A, so that drift of the machine affects both alike: the median
//! of the paired ratios, and its confidence interval.

use crate::Error;

/// Resamples of the bootstrap.
const RESAMPLES: usize = 1000;

/// The side whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The first.
    A,
    /// The second.
    B,
}

/// The result.
#[derive(Clone, Copy, Debug)]
pub struct Pairs {
    /// Median of A.
    pub a: f64,
    /// Median of B.
    pub b: f64,
    /// Median of A / B.
    pub ratio: f64,
    /// The bootstrap's 95 % interval of the ratio.
    pub low: f64,
    /// See `low`.
    pub high: f64,
}

/// Runs one pair to warm up, then `count` pairs.
pub fn abba(count: usize, mut run: impl FnMut(Side) -> Result<f64, Error>) -> Result<Pairs, Error> {
    run(Side::A)?;
    run(Side::B)?;
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for pair in 0..count {
        if pair % 2 == 0 {
            a.push(run(Side::A)?);
            b.push(run(Side::B)?);
        } else {
            b.push(run(Side::B)?);
            a.push(run(Side::A)?);
        }
    }
    let mut ratios: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a / b).collect();
    let mut medians: Vec<f64> = Vec::with_capacity(RESAMPLES);
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..RESAMPLES {
        let mut pick = || {
            state = next(state);
            ratios[(state >> 33) as usize % ratios.len()]
        };
        let mut sample: Vec<f64> = (0..ratios.len()).map(|_| pick()).collect();
        medians.push(median(&mut sample));
    }
    medians.sort_by(f64::total_cmp);
    Ok(Pairs {
        a: median(&mut a),
        b: median(&mut b),
        ratio: median(&mut ratios),
        low: medians[RESAMPLES / 40],
        high: medians[RESAMPLES - RESAMPLES / 40 - 1],
    })
}

impl std::fmt::Display for Pairs {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            ratio, low, high, ..
        } = self;
        write!(formatter, "{ratio:.3}  (95 %: {low:.3} to {high:.3})")
    }
}

/// The median; 0 without values.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// A quantile; 0 without values.
pub fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = (values.len() as f64 * share) as usize;
    let place = place.min(values.len().saturating_sub(1));
    values.get(place).copied().unwrap_or_default()
}

/// The next state of a small random generator (an LCG of Knuth's).
#[must_use]
pub const fn next(state: u64) -> u64 {
    state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407)
}
