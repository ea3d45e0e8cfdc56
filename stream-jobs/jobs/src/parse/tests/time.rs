use proptest::prelude::*;

use super::super::time::{Civil, Clock, Zone, civil_of, days, epoch, epoch_fraction, find, whole};

fn any(text: &str) -> Option<i64> {
    whole(text, Clock { received: super::RECEIVED, zone: &Zone::UTC })
}

fn guess_year(civil: Civil, received: i64) -> Option<i64> {
    Clock { received, zone: &Zone::UTC }.guess_year(civil)
}

fn year_of(micros: i64) -> i64 {
    civil_of(micros).year
}

#[test]
fn days_are_counted_from_the_epoch() {
    assert_eq!(
        (days(1970, 1, 1), days(1969, 12, 31), days(2000, 3, 1), days(0, 1, 1)),
        (0, -1, 11_017, -719_528)
    );
}

#[test]
fn texts_that_are_no_time() {
    for text in [
        "",
        "now",
        "2015-05-17",
        "2015-05-17T10:05",
        "2015-05-17T10:05:03+0x:00",
        "2015-05-17T10:05:03Zx",
        "1.2.3",
        "-",
        "--5",
        "2015-13-17T10:05:03Z",
        "2015-05-17T24:05:03Z",
        "2015-05-17T10:05:03.Z",
        "2015-05-17T10:05:03+24:00",
        "1e400",
        "20.01.99999999999999999999999999",
    ] {
        assert_eq!(any(text), None, "{text}");
    }
}

#[test]
fn what_stands_at_a_time_is_its_zone() {
    let zone = Zone::named("+05:00").unwrap();
    let find = |text| find(text, Clock { received: super::RECEIVED, zone: &zone }).map(|(micros, _)| micros);
    assert_eq!(find("2020-04-09T14:04:00Z: failed"), any("2020-04-09T14:04:00Z"));
    assert_eq!(find("2020-04-09 14:04:00 EST failed"), any("2020-04-09T14:04:00-05:00"));
    assert_eq!(find("2020-04-09 14:04:00 EST: failed"), any("2020-04-09T14:04:00+05:00"));
}

#[test]
fn dates_are_read_in_any_usual_order() {
    let wanted = any("2024-03-05T14:08:09Z");
    for text in [
        "Mar-05-24 14:08:09",
        "Mar-05-2024 14:08:09",
        "5 March 2024 14:08:09",
        "05/Mar./2024:14:08:09 +0000",
        "2024:03:05-14:08:09",
        "2024 Mar 05 Tue 14:08:09",
        "2024-W10-2T14:08:09",
        "2024-3-5 14:08:09",
        "3/5/2024 2:08:09 PM",
        "3/5/2024 2:08:09PM",
        "PST Mar 5 06:08:09 2024",
        "@4000000065e7275300000000",
        "@4000000065e72753",
        "1709647689000",
    ] {
        assert_eq!(any(text), wanted, "{text}");
    }
    assert_eq!(any("Sept. 5, 2024 01:02:03"), any("2024-09-05T01:02:03Z"));
    assert_eq!(any("1-2-3 4:5:6"), None);
    assert_eq!(any("3/5/24 14:08:09"), None);
}

#[test]
fn zones_are_numbers_letters_or_both() {
    let wanted = any("2024-03-05T12:08:09Z");
    for text in [
        "2024-03-05 14:08:09 UTC+0200",
        "Tue Mar 05 2024 14:08:09 GMT+0200 (EET)",
        "2024-03-05 14:08:09 +0200 EET",
        "2024-03-05T14:08:09+02:00[Europe/Helsinki]",
        "2024-03-05 14:08:09 CET+01",
    ] {
        assert_eq!(any(text), wanted, "{text}");
    }
    assert_eq!(Zone::named("CET+0030"), Zone::named("+01:30"));
    assert_eq!(Zone::named("Mars+01"), None);
}

#[test]
fn a_date_without_year_keeps_its_zone() {
    let zone = Zone::named("+05:00").unwrap();
    let find = |text| find(text, Clock { received: super::RECEIVED, zone: &zone }).map(|(micros, _)| micros);
    assert_eq!(find("Jan 02 14:04:00 UTC up"), find("Jan 02 19:04:00 up"));
}

#[test]
fn a_number_within_a_word_is_no_time() {
    let clock = Clock { received: super::RECEIVED, zone: &Zone::UTC };
    assert_eq!(find("1709647689x began", clock), None);
    assert_eq!(find("- 1709647689 2024.03.05 began", clock).map(|(micros, _)| micros), any("1709647689"));
    assert_eq!(find("-1709647689 began", clock), None);
    assert_eq!(find("1709647689123 began", clock).map(|(micros, _)| micros), any("1709647689123"));
}

#[test]
fn leap_second_is_the_next_minute() {
    assert_eq!(any("2016-12-31T23:59:60Z"), any("2017-01-01T00:00:00Z"));
}

proptest! {
    #[test]
    fn year_of_inverts_days(year in -2000_i64..9999, day in 0_i64..365, micro in 0_i64..86_400_000_000) {
        prop_assert_eq!(year_of((days(year, 1, 1) + day) * 86_400_000_000 + micro), year);
    }

    #[test]
    fn guessed_year_is_the_newest_not_ahead(received in 0_i64..4_000_000_000_000_000, month in 1_i64..13, day in 1_i64..29) {
        let civil = Civil { month, day, ..Civil::default() };
        let ahead = guess_year(civil, received).unwrap() - received;
        prop_assert!(ahead <= 86_400_000_000 && ahead > -366 * 86_400_000_000);
    }

    #[test]
    fn no_number_and_no_text_is_too_much(number in any_i64(), double in proptest::num::f64::ANY, text in "[0-9T:Z+. -]{0,40}") {
        epoch(number);
        epoch_fraction(double);
        any(&text);
        guess_year(Civil { month: 2, day: 29, ..Civil::default() }, number);
    }
}

fn any_i64() -> impl Strategy<Value = i64> {
    proptest::num::i64::ANY
}
