//! Days of event time, UTC.

/// Microseconds in a day.
pub const DAY: i64 = 86_400_000_000;

/// Start of the day of `time`, µs.
pub fn day_start(time: i64) -> i64 {
    time.div_euclid(DAY).saturating_mul(DAY)
}

/// `YYYY-MM-DD` of `time`, µs, in the proleptic Gregorian calendar.
pub fn day_name(time: i64) -> String {
    // Days since 0000-03-01, so that the leap day is the last of its year; 146,097 days are 400 years.
    let days = time.div_euclid(DAY) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}
