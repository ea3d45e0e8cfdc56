//! Finds what a shell pattern names, as the glob crate does, but for two things: names that are not UTF-8 are found too
//! (what is no character counts as one), and a folder that a link leads back to is not entered again.

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use glob::Pattern;

/// A path, or a folder that could not be looked into and why.
pub(crate) type Found = Result<PathBuf, (PathBuf, io::Error)>;

/// What stands between two slashes of a pattern.
#[derive(Debug)]
enum Part {
    Name(OsString),
    Like(Pattern),
    /// `**`: this folder and all in it.
    All,
}

/// Hands every path that `pattern` names to `found`, in the order of their names.
pub(crate) fn walk(pattern: &str, found: &mut dyn FnMut(Found)) {
    match parts(pattern) {
        Ok((start, parts)) => Walk { found }.on(start, &parts),
        Err(error) => found(Err((PathBuf::from(pattern), io::Error::other(error)))),
    }
}

fn parts(pattern: &str) -> Result<(PathBuf, Vec<Part>), glob::PatternError> {
    let (mut start, mut parts) = (PathBuf::new(), Vec::new());
    for component in Path::new(pattern).components() {
        match component {
            Component::RootDir | Component::Prefix(_) => start.push(component),
            Component::CurDir => {}
            Component::ParentDir => parts.push(Part::Name("..".into())),
            Component::Normal(name) => match name.to_str() {
                Some("**") if matches!(parts.last(), Some(Part::All)) => {}
                Some("**") => parts.push(Part::All),
                Some(text) if text.contains(['*', '?', '[']) => parts.push(Part::Like(Pattern::new(text)?)),
                Some(_) | None => parts.push(Part::Name(name.to_owned())),
            },
        }
    }
    Ok((start, parts))
}

struct Entry {
    name: OsString,
    /// A folder, or a link that may lead to one.
    may_be_folder: bool,
}

impl Entry {
    fn new(entry: DirEntry) -> Entry {
        let may_be_folder = entry.file_type().is_ok_and(|kind| kind.is_dir() || kind.is_symlink());
        Entry { name: entry.file_name(), may_be_folder }
    }

    fn is_like(&self, pattern: &Pattern) -> bool {
        pattern.matches(&self.name.to_string_lossy())
    }
}

struct Walk<'a> {
    found: &'a mut dyn FnMut(Found),
}

impl Walk<'_> {
    /// Goes on from `path` with the parts that are left.
    fn on(&mut self, path: PathBuf, parts: &[Part]) {
        match parts.split_first() {
            None => (self.found)(Ok(path)),
            Some((Part::Name(name), rest)) => {
                let path = path.join(name);
                match path.symlink_metadata() {
                    Ok(_) => self.on(path, rest),
                    Err(error) => self.report(path, error),
                }
            }
            Some((Part::Like(pattern), rest)) => {
                for entry in self.entries(&path).iter().filter(|entry| entry.is_like(pattern)) {
                    self.on(path.join(&entry.name), rest);
                }
            }
            Some((Part::All, rest)) => self.all(path, rest, &mut Vec::new()),
        }
    }

    /// Goes on from `folder` and each folder in it; `above` are those it lies in.
    fn all(&mut self, folder: PathBuf, rest: &[Part], above: &mut Vec<(u64, u64)>) {
        let id = match fs::metadata(&folder) {
            Ok(seen) if seen.is_dir() => (seen.dev(), seen.ino()),
            Ok(_) => return,
            Err(error) => return self.report(folder, error),
        };
        if above.contains(&id) {
            return;
        }
        above.push(id);
        let entries = self.entries(&folder);
        match rest.split_first() {
            // The names are known already.
            Some((Part::Like(pattern), rest)) => {
                for entry in entries.iter().filter(|entry| entry.is_like(pattern)) {
                    self.on(folder.join(&entry.name), rest);
                }
            }
            Some(_) | None => self.on(folder.clone(), rest),
        }
        for entry in entries.iter().filter(|entry| entry.may_be_folder) {
            self.all(folder.join(&entry.name), rest, above);
        }
        above.pop();
    }

    /// What is in `folder`, in order; nothing where it is no folder.
    fn entries(&mut self, folder: &Path) -> Vec<Entry> {
        let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let listed: io::Result<Vec<Entry>> =
            fs::read_dir(here).and_then(|entries| entries.map(|entry| entry.map(Entry::new)).collect());
        match listed {
            Ok(mut entries) => {
                entries.sort_by(|one, other| one.name.cmp(&other.name));
                entries
            }
            Err(error) => {
                self.report(here.to_owned(), error);
                Vec::new()
            }
        }
    }

    /// What is not there, or no longer, or is no folder, is named by no pattern.
    fn report(&mut self, path: PathBuf, error: io::Error) {
        if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
            (self.found)(Err((path, error)));
        }
    }
}
