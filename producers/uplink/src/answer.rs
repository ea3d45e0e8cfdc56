//! What a gateway's answer means for a batch. Pure.

use std::time::{Duration, SystemTime};

/// What becomes of a batch after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All of it is committed.
    Taken,
    /// The same again, after this long at least where the gateway said so.
    Later { reason: String, after: Option<Duration> },
    /// The same again, but nothing of this tenant can be taken before somebody changes something.
    Wrong { reason: String },
    /// This batch can never be taken.
    Refused { reason: String },
}

/// Judges an answer to a batch of `n_records`. `retry_after` is that header's value.
pub(crate) fn judge(
    status: u16,
    retry_after: Option<&str>,
    body: &[u8],
    n_records: u64,
    now: SystemTime,
) -> Verdict {
    let said = said(body);
    let reason = format!("the gateway answered {status}: {said}");
    match status {
        200..=299 => match count(body) {
            Some(count) if count == n_records => Verdict::Taken,
            Some(count) => Verdict::Later {
                reason: format!("the gateway has {count} of {n_records} lines"),
                after: None,
            },
            None => Verdict::Wrong { reason: format!("{reason}; is this a gateway of ours?") },
        },
        // Of this batch.
        400 | 409 | 411 | 413 | 414 | 415 | 422 | 431 => Verdict::Refused { reason },
        408 | 425 | 429 | 500..=599 => {
            Verdict::Later { reason, after: retry_after.and_then(|text| pause(text, now)) }
        }
        // Of the key, the address, what stands between.
        _ => Verdict::Wrong { reason },
    }
}

/// Seconds, or a date.
fn pause(text: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = chrono::DateTime::parse_from_rfc2822(text.trim()).ok()?;
    Some(SystemTime::from(date).duration_since(now).unwrap_or_default())
}

fn count(body: &[u8]) -> Option<u64> {
    serde_json::from_slice::<serde_json::Value>(body).ok()?.get("count")?.as_u64()
}

/// What the answer says, for people: its `error`, or its beginning.
fn said(body: &[u8]) -> String {
    let json = serde_json::from_slice::<serde_json::Value>(body).ok();
    let error = json.as_ref().and_then(|json| json.get("error")?.as_str().map(str::to_owned));
    let text = error.unwrap_or_else(|| String::from_utf8_lossy(body).trim().to_owned());
    let plain = text.chars().map(|char| if char.is_control() { ' ' } else { char });
    plain.take(500).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, retry_after: Option<&str>, body: &str) -> Verdict {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        judge(status, retry_after, body.as_bytes(), 3, now)
    }

    fn after(verdict: Verdict) -> Option<u64> {
        match verdict {
            Verdict::Later { after, .. } => after.map(|after| after.as_secs()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_a_whole_batch_is_taken() {
        assert_eq!(of(200, None, r#"{"count":3,"attempt":1}"#), Verdict::Taken);
        assert_eq!(after(of(200, None, r#"{"count":2}"#)), None);
        assert!(matches!(of(200, None, "<html>hello</html>"), Verdict::Wrong { .. }));
        assert!(matches!(of(204, None, ""), Verdict::Wrong { .. }));
    }

    #[test]
    fn what_is_wrong_with_the_batch_is_told_from_what_is_wrong_with_us() {
        let refused = of(400, None, r#"{"error":"no such\nstream"}"#);
        assert_eq!(
            refused,
            Verdict::Refused { reason: "the gateway answered 400: no such stream".to_owned() }
        );
        assert!(matches!(of(413, None, ""), Verdict::Refused { .. }));
        for status in [301, 401, 403, 404, 405, 426] {
            assert!(matches!(of(status, None, "x"), Verdict::Wrong { .. }), "{status}");
        }
    }

    #[test]
    fn try_later_says_when() {
        assert_eq!(after(of(503, Some("7"), "")), Some(7));
        assert_eq!(after(of(429, Some("Sun, 09 Sep 2001 01:47:00 GMT"), "")), Some(20));
        assert_eq!(after(of(429, Some("Sun, 09 Sep 2001 01:00:00 GMT"), "")), Some(0));
        assert_eq!(after(of(500, Some("soon"), "")), None);
        assert_eq!(after(of(502, None, "")), None);
    }
}
