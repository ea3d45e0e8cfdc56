//! A small disk of its own, for tests that fill it.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Unmounted when it is dropped.
#[derive(Debug)]
pub(crate) struct Tmpfs {
    pub(crate) path: PathBuf,
}

impl Tmpfs {
    /// Mounts `mib` MiB at `path`. It takes the right to mount: as root, or with `sudo -n`.
    pub(crate) fn mount(path: &Path, mib: u32) -> Tmpfs {
        fs::create_dir_all(path).unwrap();
        run(&[
            "mount",
            "-t",
            "tmpfs",
            "-o",
            &format!("size={mib}m,mode=777"),
            "tmpfs",
            path.to_str().unwrap(),
        ]);
        Tmpfs { path: path.to_owned() }
    }

    /// Fills it to the last page; gives the file whose removal makes room.
    pub(crate) fn fill(&self) -> PathBuf {
        let path = self.path.join("filler");
        let mut file = File::create(&path).unwrap();
        for step in [1 << 16, 1 << 12, 1] {
            while file.write_all(&vec![7; step]).is_ok() {}
        }
        path
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: a service that is being killed may still hold a file.
        drop(command(&["umount", "--lazy", self.path.to_str().unwrap_or_default()]).output());
    }
}

fn command(args: &[&str]) -> Command {
    let (program, rest) =
        if rustix::process::geteuid().is_root() { (args[0], &args[1..]) } else { ("sudo", args) };
    let mut command = Command::new(program);
    if program == "sudo" {
        command.arg("-n");
    }
    command.args(rest);
    command
}

fn run(args: &[&str]) {
    let output = command(args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "a small disk cannot be had, {} says: {said}", args.join(" "));
}
