use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use super::*;

fn tree() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for folder in ["a/b/c", "a/.hidden", "d", "x[y]"] {
        fs::create_dir_all(directory.path().join(folder)).unwrap();
    }
    for file in ["1.log", "a/1.log", "a/b/2.log", "a/b/c/3.log", "a/.hidden/.4.log", "d/a.txt", "x[y]/5.log"]
    {
        fs::write(directory.path().join(file), "").unwrap();
    }
    symlink("../a/b", directory.path().join("d/link")).unwrap();
    symlink("nowhere", directory.path().join("d/dangling.log")).unwrap();
    directory
}

fn paths(pattern: &str) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    walk(pattern, &mut |found| paths.push(found.unwrap()));
    paths
}

#[test]
fn it_finds_what_the_glob_crate_finds() {
    let directory = tree();
    let root = directory.path().to_str().unwrap();
    for pattern in [
        "*",
        "*.log",
        "*/*.log",
        "**/*.log",
        "a/**/*.log",
        "**/c/*",
        "a/../d/*",
        "**/**/2.log",
        "d/link/*.log",
        "nowhere/*",
        "1.log/*",
        "a//b/./2.log",
        "[ad]/?.log",
        "x[[]y]/*",
        "d/dangling.log",
        "a/.hid*/*",
    ] {
        let pattern = format!("{root}/{pattern}");
        let mut expected: Vec<PathBuf> = glob::glob(&pattern).unwrap().map(Result::unwrap).collect();
        let mut found = paths(&pattern);
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "{pattern}");
    }
}

#[test]
fn names_need_not_be_utf_8() {
    let directory = tree();
    let name = OsStr::from_bytes(b"caf\xe9.log");
    fs::create_dir(directory.path().join(OsStr::from_bytes(b"\xff"))).unwrap();
    let wanted = [directory.path().join(name), directory.path().join(OsStr::from_bytes(b"\xff")).join(name)];
    wanted.iter().for_each(|path| fs::write(path, "").unwrap());
    let root = directory.path().to_str().unwrap();
    assert_eq!(paths(&format!("{root}/caf?.log")), wanted[..1]);
    assert_eq!(paths(&format!("{root}/**/caf*.log")), wanted);
}

#[test]
fn links_that_lead_back_are_not_followed_for_ever() {
    let directory = tree();
    for name in ["l1", "l2", "l3"] {
        symlink("..", directory.path().join("a").join(name)).unwrap();
        symlink(".", directory.path().join(name)).unwrap();
    }
    let found = paths(&format!("{}/**/2.log", directory.path().to_str().unwrap()));
    let names: Vec<_> = found.iter().map(|path| path.strip_prefix(directory.path()).unwrap()).collect();
    assert_eq!(names, [Path::new("a/b/2.log"), Path::new("d/link/2.log")]);
}

#[test]
fn a_pattern_that_cannot_be_taken_apart_is_said() {
    let mut faults = Vec::new();
    walk("/tmp/[a/b]", &mut |found| faults.push(found.unwrap_err().0));
    assert_eq!(faults, [PathBuf::from("/tmp/[a/b]")]);
}
