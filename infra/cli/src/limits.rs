//! How many files this process may hold open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Kafka and the registry do not start with much less.
const NEEDED: u64 = 1_024;
/// More is of no use here, and some programs look at every number below the limit.
const MOST: u64 = 1 << 20;

/// Raises the limit as far as the system lets us: mostly it is 1,024, while a gateway takes 4,096 connections, a forwarder
/// follows 10,000 files, and far more is allowed. Children inherit it.
pub(crate) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    if let Some(more) = raised(&limit)
        && let Err(error) = setrlimit(Resource::Nofile, more)
    {
        eprintln!("millrace: could not raise the limit of open files (ulimit -n): {error}");
    }
}

fn raised(limit: &Rlimit) -> Option<Rlimit> {
    let allowed = limit.maximum.unwrap_or(u64::MAX).min(MOST);
    let is_less = limit.current.is_some_and(|current| current < allowed);
    is_less.then_some(Rlimit { current: Some(allowed), maximum: limit.maximum })
}

/// How many files may be open.
///
/// # Errors
/// They are too few for Kafka and the registry as children.
pub(crate) fn open_files() -> Result<u64, String> {
    enough(getrlimit(Resource::Nofile).current)
}

fn enough(current: Option<u64>) -> Result<u64, String> {
    match current.unwrap_or(u64::MAX) {
        few if few < NEEDED => Err(format!(
            "at most {few} files may be open at once, and Kafka, the registry and the services need {NEEDED} or more: \
             raise the limit (`ulimit -n`, LimitNOFILE= of systemd)"
        )),
        many => Ok(many),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_to_what_is_allowed_and_never_lowered() {
        let raised = |current, maximum| raised(&Rlimit { current, maximum }).map(|more| more.current);
        assert_eq!(raised(Some(1_024), Some(4_096)), Some(Some(4_096)));
        assert_eq!(raised(Some(1_024), None), Some(Some(MOST)));
        assert_eq!(raised(Some(4_096), Some(4_096)), None);
        assert_eq!(raised(Some(MOST * 2), None), None);
        assert_eq!(raised(None, None), None);
    }

    #[test]
    fn too_few_are_said_to_be() {
        assert!(enough(Some(256)).unwrap_err().contains("at most 256 files"));
        assert_eq!((enough(Some(1_024)), enough(None)), (Ok(1_024), Ok(u64::MAX)));
    }
}
