//! How long to wait before another attempt: doubling, capped, jittered by the caller's randomness.

use crate::settings::Settings;

/// The pause after `attempts` failed attempts, in milliseconds. `random` spreads it over 50 to 100 % of the step.
pub fn pause_ms(attempts: u32, settings: &Settings, random: u8) -> u64 {
    let doublings = attempts.saturating_sub(1).min(32);
    let full = settings.backoff_ms.saturating_mul(1_u64 << doublings).min(settings.backoff_max_ms);
    full / 2 + (full / 2).saturating_mul(u64::from(random)) / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_cap_and_never_overflow() {
        let settings = Settings::default();
        assert_eq!(pause_ms(1, &settings, 255), 1_000);
        assert_eq!(pause_ms(2, &settings, 255), 2_000);
        assert_eq!(pause_ms(2, &settings, 0), 1_000);
        assert_eq!(pause_ms(u32::MAX, &settings, 255), 600_000);
    }
}
