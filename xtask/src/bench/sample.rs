//! Medians, percentiles and 95 % intervals of measured numbers.
//!
//! Rounds are few (five by default), so intervals are Student's t. Times, rates and ratios are positive, so all is done
//! on the logarithmic scale, where a half and a double are equally far from one; ratios are paired by round.

/// A median with the 95 % interval of the geometric mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The median of the rounds.
    pub median: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
}

impl Estimate {
    /// Of one positive number a round.
    pub fn of(values: &[f64]) -> Self {
        let logarithms: Vec<f64> = values.iter().map(|value| value.ln()).collect();
        let (low, high) = interval(&logarithms);
        Self { median: median(values), low: low.exp(), high: high.exp() }
    }

    /// Of the ratios of two series, round by round.
    pub fn of_ratio(over: &[f64], under: &[f64]) -> Self {
        let ratios: Vec<f64> = over.iter().zip(under).map(|(a, b)| a / b).collect();
        Self::of(&ratios)
    }
}

/// The middle one, or between the two middle ones; NaN for none.
pub fn median(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    f64::midpoint(at((sorted.len().max(1) - 1) / 2), at(sorted.len() / 2))
}

/// The smallest value that `share` (0 to 1) of all do not exceed; NaN for none.
pub fn percentile(values: &[f64], share: f64) -> f64 {
    let sorted = sorted(values);
    // Rounded up and never negative: the rank as it is defined.
    let rank = (share * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// Student's t for 95 %, two-sided, by degrees of freedom from 1 on; beyond the table nearly the normal's.
const T: [f64; 10] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];

fn interval(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    if values.len() < 2 {
        return (mean, mean);
    }
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let reach = T.get(values.len() - 2).copied().unwrap_or(2.0) * (variance / count).sqrt();
    (mean - reach, mean + reach)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one_or_between_the_two_middle_ones() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!([0.0, 0.5, 0.99, 1.0].map(|share| percentile(&hundred, share)), [1.0, 50.0, 99.0, 100.0]);
        assert_eq!(percentile(&[7.0], 0.99), 7.0);
    }

    #[test]
    fn the_interval_of_five_rounds_is_students_on_the_logarithmic_scale() {
        let rounds: Vec<f64> = [1.0_f64, 2.0, 3.0, 4.0, 5.0].iter().map(|value| value.exp()).collect();
        let Estimate { median, low, high } = Estimate::of(&rounds);
        assert_eq!(median, 3.0_f64.exp());
        assert!((low.ln() - 1.037).abs() < 0.001 && (high.ln() - 4.963).abs() < 0.001, "{low} {high}");
        let one = Estimate::of(&[2.0]);
        assert!((one.low - 2.0).abs() < 1e-9 && (one.high - 2.0).abs() < 1e-9);
    }

    #[test]
    fn ratios_are_paired_by_round_so_that_a_slow_machine_slows_both() {
        let estimate = Estimate::of_ratio(&[10.0, 20.0, 40.0], &[20.0, 40.0, 80.0]);
        for value in [estimate.median, estimate.low, estimate.high] {
            assert!((value - 0.5).abs() < 1e-9, "{value}");
        }
    }
}
