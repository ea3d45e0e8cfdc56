//! Entries of the system's journal, as `journalctl` gives them: one JSON object an entry. Its cursor is the position, so no
//! entry is lost or sent twice, as long as the journal keeps it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};

use millrace_schemas::LineEnd;
use tracing::warn;

use super::{Given, Item};
use crate::container::docker::member;

/// A running `journalctl`; it ends with this value.
#[derive(Debug)]
pub struct Journal(Arc<Mutex<Child>>);

impl Journal {
    /// Starts `program` (`journalctl`) after `cursor`; without one at the beginning of what the journal keeps. With
    /// `follow` it waits for more at the end.
    ///
    /// # Errors
    /// What the system said.
    pub fn spawn(program: &str, cursor: Option<&str>, follow: bool) -> std::io::Result<Journal> {
        let mut command = Command::new(program);
        command.args(["--output=json", "--all", "--no-pager", "--quiet", "--no-tail"]);
        if follow {
            command.arg("--follow");
        }
        if let Some(cursor) = cursor {
            command.arg(format!("--after-cursor={cursor}"));
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        Ok(Journal(Arc::new(Mutex::new(child))))
    }

    /// What reads its entries until it ends; an entry over `max_bytes` is cut there.
    pub fn reader(&self, max_bytes: usize) -> impl FnOnce(&SyncSender<Given>) + Send + 'static {
        let child = self.0.clone();
        move |to| {
            if let Err(reason) = read(&child, max_bytes, to) {
                // Where nobody listens any more the run is over anyway.
                drop(to.send(Err(reason)));
            }
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let mut child = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = child.kill().and_then(|()| child.wait().map(drop)) {
            warn!(%error, "could not end journalctl");
        }
    }
}

fn read(child: &Mutex<Child>, max_bytes: usize, to: &SyncSender<Given>) -> Result<(), String> {
    let (stdout, stderr) = {
        let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
        (child.stdout.take().ok_or("it has no output")?, child.stderr.take())
    };
    if !entries(BufReader::new(stdout), max_bytes, to)? {
        return Ok(());
    }
    let mut said = String::new();
    if let Some(stderr) = stderr {
        stderr.take(4_096).read_to_string(&mut said).map_err(|error| error.to_string())?;
    }
    let status = child.lock().unwrap_or_else(PoisonError::into_inner).wait();
    match status.map_err(|error| error.to_string())? {
        status if status.success() => Ok(()),
        status => Err(format!("journalctl ended with {status}: {}", said.trim())),
    }
}

/// Answers whether the output ended; else nobody listens any more.
fn entries(mut output: impl BufRead, max_bytes: usize, to: &SyncSender<Given>) -> Result<bool, String> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if output.read_until(b'\n', &mut line).map_err(|error| error.to_string())? == 0 {
            return Ok(true);
        }
        // Broken off within an entry: the next run reads it again.
        let Some(body) = line.strip_suffix(b"\n") else { return Ok(true) };
        let Some(cursor) = member(body, b"__CURSOR") else {
            return Err(format!(
                "an entry has no cursor: {}",
                String::from_utf8_lossy(&body[..body.len().min(200)])
            ));
        };
        let cursor = Some(String::from_utf8_lossy(&cursor).into_owned());
        let body = body[..body.len().min(max_bytes)].to_vec();
        if to.send(Ok(Item { body, end: LineEnd::Lf, piece: None, cursor })).is_err() {
            return Ok(false);
        }
    }
}
