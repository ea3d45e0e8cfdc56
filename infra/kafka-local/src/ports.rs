//! Loopback ports: one that is free, and who has one that is not.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Error;

/// Below Linux's default range for outgoing connections (from 32768), so that none of them can sit on a port between
/// two runs of the same child.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// Returns a loopback port on which nothing listens now, and that this process was not given lately. Nothing keeps it
/// free until it is used.
///
/// # Errors
/// When no port of a hundred tries can be listened on.
pub fn free_port() -> Result<u16, Error> {
    // From a place of its own, so that processes stay out of each other's way.
    static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(random()));
    let mut last = None;
    for _ in 0..100 {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = RANGE.start + (next % u64::from(RANGE.end - RANGE.start)) as u16;
        match check("a child", port) {
            Ok(()) => return Ok(port),
            Err(error) => last = Some(error),
        }
    }
    last.map_or(Ok(RANGE.start), Err)
}

/// A number that differs at each call and in each process; not for secrets.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Says whether `port` can be listened on, and if not, who has it.
pub(crate) fn check(what: &'static str, port: u16) -> Result<(), Error> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let owner =
                owner(port).unwrap_or_else(|| "a process that /proc does not show to this user".to_owned());
            Err(Error::PortInUse { what, port, owner })
        }
        Err(source) => Err(Error::Port { what, port, source }),
    }
}

fn owner(port: u16) -> Option<String> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .find_map(|table| listening_inode(&table, port))?;
    let wanted = format!("socket:[{inode}]");
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let mut sockets = fs::read_dir(entry.path().join("fd")).ok()?.flatten();
        sockets.find(|fd| fs::read_link(fd.path()).is_ok_and(|to| to.as_os_str() == wanted.as_str()))?;
        let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        Some(format!("process {pid} ({})", name.trim_end()))
    })
}

/// Columns of /proc/net/tcp: number, local address:port (hex), remote, state (0A is LISTEN), …, the tenth is the inode.
fn listening_inode(table: &str, port: u16) -> Option<String> {
    let suffix = format!(":{port:04X}");
    table.lines().skip(1).find_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let listens = columns.get(1)?.ends_with(&suffix) && *columns.get(3)? == "0A";
        if listens { columns.get(9).map(|inode| (*inode).to_owned()) } else { None }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::free_port;

    #[test]
    fn no_port_is_given_twice() {
        let given: HashSet<u16> = (0..2_000).map(|_| free_port().unwrap()).collect();
        assert_eq!(given.len(), 2_000);
    }
}
