//! A compacted topic of one partition, read whole and then followed: what it says now, in the memory of a process.

use std::sync::Arc;
use std::time::Duration;

use crate::kafka::{Error, Tailer};
use crate::service::{Service, ServiceError};

const WAIT: Duration = Duration::from_millis(200);

/// Gives every record of `topic` to `take` (key, value), then goes on with what comes, on a thread called `name`, until the
/// process is told to stop. While Kafka is away what was known last counts. A record may be given again.
///
/// # Errors
/// *Exit*: the topic cannot be read to its end.
pub fn follow(
    service: &Service,
    topic: &'static str,
    name: &str,
    take: impl Fn(&[u8], Option<&[u8]>) + Send + Sync + 'static,
) -> Result<(), ServiceError> {
    let take = Arc::new(take);
    let (own, taking) = (service.clone(), take.clone());
    let open = move || read(&own, topic, &*taking);
    follow_by(service, topic, name, open, move |tailer| look(tailer, WAIT, &*take))
}

/// Same, for who applies what it reads in steps of its own: `open` reads the topic whole, `look` takes what came since.
///
/// # Errors
/// *Exit*: the topic cannot be read to its end.
pub fn follow_by(
    service: &Service,
    topic: &'static str,
    name: &str,
    open: impl Fn() -> Result<Tailer, Error> + Send + 'static,
    look: impl Fn(&mut Tailer) -> Result<(), Error> + Send + 'static,
) -> Result<(), ServiceError> {
    let mut tailer = open()?;
    let stop = service.stop.clone();
    let follow = move || {
        while !stop.requested() {
            let Err(error) = look(&mut tailer) else { continue };
            tracing::warn!(%error, topic, "could not follow a topic, reading it anew");
            stop.sleep(Duration::from_secs(1));
            match open() {
                Ok(anew) => tailer = anew,
                Err(error) => tracing::warn!(%error, topic, "could not read a topic"),
            }
        }
    };
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(follow)
        .map_err(|error| ServiceError::Other(format!("could not start a thread: {error}")))?;
    Ok(())
}

fn read(service: &Service, topic: &str, take: &impl Fn(&[u8], Option<&[u8]>)) -> Result<Tailer, Error> {
    let mut tailer = Tailer::open(&service.config.kafka, topic, &[0])?;
    while !tailer.caught_up() {
        look(&mut tailer, WAIT, take)?;
    }
    Ok(tailer)
}

fn look(tailer: &mut Tailer, wait: Duration, take: &impl Fn(&[u8], Option<&[u8]>)) -> Result<(), Error> {
    tailer.poll(wait, &mut |_, _, key, value| {
        take(key, value);
        Ok(())
    })?;
    Ok(())
}
