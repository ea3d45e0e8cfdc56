//! What holds of any bytes in a spool's files, as a function: tests call it, and `make fuzz`.

use std::fs;

use crate::common::{all_due, group, open, quick_dir, read};

/// Whatever two segments and one that was parked hold, the spool opens, reads what there is, and takes a line and gives it
/// back. Says how many batches were there, and whether something was said to be damaged.
pub(crate) fn spool(bytes: &[u8], more: &[u8]) -> (usize, bool) {
    let dir = quick_dir();
    fs::write(dir.path().join("0000000000000001.seg"), bytes).unwrap();
    fs::write(dir.path().join("0000000000000002.seg"), more).unwrap();
    fs::create_dir(dir.path().join("again")).unwrap();
    fs::write(dir.path().join("again/0000000000000001-1.seg"), bytes).unwrap();
    let spool = open(dir.path());
    let found = all_due(&spool);
    found.iter().for_each(|due| drop(read(&spool, due.id)));
    spool.append(&group(&[("a", "1")]), 1).unwrap();
    let new: Vec<_> =
        all_due(&spool).into_iter().filter(|due| !found.iter().any(|own| own.id == due.id)).collect();
    let lines: Vec<_> = new.iter().map(|due| (due.minute, read(&spool, due.id).0)).collect();
    assert_eq!(lines, [(1, vec![b"1".to_vec()])]);
    let damaged = millrace_spool::look(dir.path()).unwrap().damaged;
    (found.len(), !damaged.is_empty())
}
