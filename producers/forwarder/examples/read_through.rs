//! Measures the forwarder's own code: `cargo run --release -p millrace-forwarder --example read_through [FILE]`. Without
//! a file it makes 200 MB of lines of about 190 bytes.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use millrace_loadgen::{Lines, Options};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given = std::env::args_os().nth(1).map(PathBuf::from);
    let directory = tempfile::tempdir()?;
    let path = match given {
        Some(path) => path,
        None => make(&directory.path().join("bench.log"))?,
    };
    for _ in 0..3 {
        let (bytes, seconds) = millrace_forwarder::bench::read_through(&path)?;
        println!("{:.0} MiB/s", bytes as f64 / seconds / f64::from(1 << 20));
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    status.lines().filter(|line| line.starts_with("VmHWM")).for_each(|line| println!("{line}"));
    Ok(())
}

fn make(path: &Path) -> Result<PathBuf, std::io::Error> {
    let mut out = BufWriter::with_capacity(1 << 20, std::fs::File::create(path)?);
    let mut lines = Lines::new(Options::mixed(1, 1_700_000_000_000_000));
    let (mut line, mut n_lines, mut n_bytes) = (Vec::new(), 0_u32, 0);
    let start = Instant::now();
    while n_bytes < 200_000_000 {
        line.clear();
        lines.next_into(&mut line);
        line.push(b'\n');
        n_bytes += line.len();
        n_lines += 1;
        out.write_all(&line)?;
    }
    out.flush()?;
    println!("made {:.0} lines/s", f64::from(n_lines) / start.elapsed().as_secs_f64());
    Ok(path.to_owned())
}
