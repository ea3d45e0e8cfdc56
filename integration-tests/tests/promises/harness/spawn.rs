//! Children that die with this process, also when it is killed.

use std::path::Path;
use std::process::{Child, Command};

/// A command whose process gets SIGKILL when this process dies. All of it execs: the process id stays `program`'s.
pub(crate) fn mortal(program: &Path) -> Command {
    millrace_kafka_local::mortal(program).unwrap()
}

/// Spawns so that the death signal follows the process, not the thread.
pub(crate) fn spawn(command: Command) -> Child {
    millrace_kafka_local::spawn(command).expect("could not start a child")
}
