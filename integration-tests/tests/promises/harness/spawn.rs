//! Children that die with this process, also when it is killed.

use std::path::Path;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

/// A command whose process gets SIGKILL when this process dies. All of it execs: the process id stays `program`'s.
pub(crate) fn mortal(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "sh", "-c", r#"test "$PPID" = "$0" && exec "$@""#]);
    command.arg(std::process::id().to_string()).arg(program);
    command
}

/// Spawns from a thread that lives as long as the process: the death signal follows the thread that forked.
pub(crate) fn spawn(command: Command) -> Child {
    type Request = (Command, Sender<std::io::Result<Child>>);
    static SPAWNER: OnceLock<Sender<Request>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (requests, incoming) = channel::<Request>();
        std::thread::spawn(move || {
            for (mut command, answer) in incoming {
                answer.send(command.spawn()).unwrap();
            }
        });
        requests
    });
    let (answer, answered) = channel();
    spawner.send((command, answer)).unwrap();
    answered.recv().unwrap().expect("could not start a child; is util-linux's setpriv installed?")
}
