//! Looks at the globs: what appeared, was renamed, was deleted.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use tracing::warn;

use crate::Now;
use crate::catalog::Catalog;
use crate::disk::{Sight, find_inodes, home, open};
use crate::identity::Inode;
use crate::options::Options;
use crate::packed::is_packed;
use crate::rules::Rules;
use crate::walk::walk;

impl Catalog {
    /// Looks at every path that the globs name, then for those files that they no longer name.
    pub(crate) fn scan(&mut self, options: &Options, rules: &[Rules], now: Now) {
        self.scan_number += 1;
        self.unsettled.clear();
        for (input, (spec, rules)) in options.inputs.iter().zip(rules).enumerate() {
            for pattern in &spec.globs {
                walk(pattern, &mut |found| match found {
                    Ok(path) if rules.leaves_out(&path) => {}
                    Ok(path) => self.look_at(options, input, path, now),
                    Err((path, error)) => {
                        self.troubles.report(&path, error.to_string(), self.scan_number);
                    }
                });
            }
        }
        self.find_missing(now);
        self.find_waiting(options, now);
        self.forget_old(options, now);
        self.troubles.prune(self.scan_number);
        self.prune_packed();
        self.prune_copies();
        let Catalog { files, places, .. } = self;
        if places.len() > 2 * files.len() + 100 {
            places.retain(|_, inode| files.contains_key(inode));
        }
    }

    fn look_at(&mut self, options: &Options, input: usize, path: PathBuf, now: Now) {
        match self.try_look_at(options, input, &path, now) {
            Ok(inode) if self.files.get(&inode).is_some_and(|follow| follow.broken) => {
                self.troubles.keep(&path, self.scan_number);
            }
            Ok(_) => self.troubles.clear(&path),
            // Gone between two looks; a symbolic link to nowhere is still there.
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.symlink_metadata().is_err() => {}
            Err(error) => self.troubles.report(&path, error.to_string(), self.scan_number),
        }
    }

    fn try_look_at(&mut self, options: &Options, input: usize, path: &Path, now: Now) -> io::Result<Inode> {
        let sight = Sight::at(path)?;
        if !sight.is_file {
            return Err(io::Error::other("it is not a regular file: exclude it from the pattern"));
        }
        if is_packed(path)? {
            return self.look_at_packed(options, input, path, sight, now).map(|()| sight.inode);
        }
        if self.recognize(path, &sight, now) {
            return Ok(sight.inode);
        }
        let file = open(path)?;
        let sight = Sight::of(&file)?;
        if self.recognize(path, &sight, now) {
            return Ok(sight.inode);
        }
        self.meet(options, input, path.to_owned(), (file, sight), now)?;
        Ok(sight.inode)
    }

    /// Whether the file at `path` is followed already; then notes what is new about it.
    fn recognize(&mut self, path: &Path, sight: &Sight, now: Now) -> bool {
        let Some(follow) = self.files.get_mut(&sight.inode) else {
            return false;
        };
        if follow.birth != 0 && sight.birth != 0 && follow.birth != sight.birth {
            // The inode is used again; this can only happen while the file is not open.
            let (lost, read) = (follow.unread(), follow.position.byte as u64);
            if lost > 0 {
                warn_lost(&follow.place.clone(), read, lost);
            }
            self.end(sight.inode, lost, now);
            return false;
        }
        // With several names, the one it had stands as long as it is met.
        if follow.seen_in != self.scan_number && follow.place != path {
            follow.place = path.to_owned();
            follow.home = home(path);
            self.places.insert(path.to_owned(), sight.inode);
        }
        follow.seen_in = self.scan_number;
        follow.gone = follow.unpacked;
        if follow.needs_visit(sight) {
            // What is to be read is known now, should it be destroyed before its turn comes.
            if sight.size > follow.size && follow.room.is_none_or(|room| room.size != sight.size) {
                follow.note_growth();
            }
            self.enqueue(sight.inode);
        }
        true
    }

    /// Files that no glob named in this scan: renamed to a name outside of them, or gone.
    fn find_missing(&mut self, now: Now) {
        let scan = self.scan_number;
        let missing = self.files.iter().filter(|(_, follow)| follow.seen_in != scan);
        let missing: Vec<(Inode, PathBuf, Option<PathBuf>)> =
            missing.map(|(inode, follow)| (*inode, follow.place.clone(), follow.home.clone())).collect();
        let mut homeless: HashMap<PathBuf, Vec<Inode>> = HashMap::new();
        for (inode, place, home) in missing {
            let there = Sight::at(&place)
                .is_ok_and(|sight| sight.inode == inode && self.recognize(&place, &sight, now));
            if !there && self.files.contains_key(&inode) {
                let directory = home.or_else(|| place.parent().map(Path::to_owned)).unwrap_or_default();
                homeless.entry(directory).or_default().push(inode);
            }
        }
        for (directory, inodes) in homeless {
            // A directory that cannot be read tells nothing; one that is not there, that its files are gone.
            let found =
                match find_inodes(&directory, |number| inodes.iter().any(|inode| inode.number == number)) {
                    Ok(found) => found,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
                    Err(error) => {
                        self.troubles.report(&directory, error.to_string(), scan);
                        continue;
                    }
                };
            for path in found {
                if let Ok(sight) = Sight::at(&path)
                    && inodes.contains(&sight.inode)
                {
                    self.recognize(&path, &sight, now);
                }
            }
            for inode in inodes {
                self.note_gone(inode, now);
            }
        }
    }

    fn note_gone(&mut self, inode: Inode, now: Now) {
        let scan = self.scan_number;
        let wait =
            self.files.get(&inode).is_some_and(|own| own.file.is_none() && self.may_be_packed(&own.place));
        let Some(follow) = self.files.get_mut(&inode).filter(|follow| follow.seen_in != scan && !wait) else {
            return;
        };
        follow.gone = true;
        if follow.file.is_some() {
            // Read to its end through the open file, then finished.
            self.enqueue(inode);
            return;
        }
        let lost = follow.unread();
        if lost > 0 {
            warn_lost(&follow.place.clone(), follow.position.byte as u64, lost);
        }
        self.end(inode, lost, now);
    }

    /// Restored positions whose file no glob named: renamed while nobody looked, or gone.
    fn find_waiting(&mut self, options: &Options, now: Now) {
        let mut homes: HashMap<PathBuf, HashSet<u64>> = HashMap::new();
        for (number, list) in &self.waiting {
            for position in list.iter().filter(|position| input_of(options, position).is_some()) {
                let path = Path::new(&position.path);
                // A link may lead elsewhere now; what it led to lay beside it, as a rule.
                for home in [path.parent().map(Path::to_owned), home(path)].into_iter().flatten() {
                    homes.entry(home).or_default().insert(*number);
                }
            }
        }
        let sought: HashSet<u64> = homes.values().flatten().copied().collect();
        let mut undecided = HashSet::new();
        for (directory, numbers) in homes {
            if self.unsettled.contains(&directory) {
                undecided.extend(numbers);
                continue;
            }
            match find_inodes(&directory, |number| numbers.contains(&number)) {
                Ok(found) => undecided.extend(self.take_up(options, found, now)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    self.troubles.report(&directory, error.to_string(), self.scan_number);
                    undecided.extend(numbers);
                }
            }
        }
        for number in sought.difference(&undecided) {
            self.give_up(options, *number, now);
        }
    }

    /// Follows files that restored positions may belong to; answers the inodes that could not be looked at.
    fn take_up(&mut self, options: &Options, found: Vec<PathBuf>, now: Now) -> Vec<u64> {
        let mut unreadable = Vec::new();
        for path in found {
            let Ok(sight) = Sight::at(&path) else { continue };
            let list = self.waiting.get(&sight.inode.number).into_iter().flatten();
            let same = |p: &&millrace_schemas::position::FilePosition| {
                crate::identity::same_birth(p, sight.birth) && sight.is_file
            };
            let Some(input) = list.filter(same).find_map(|position| input_of(options, position)) else {
                continue;
            };
            if let Err(error) = self.try_look_at(options, input, &path, now) {
                self.troubles.report(&path, error.to_string(), self.scan_number);
                unreadable.push(sight.inode.number);
            }
        }
        unreadable
    }

    /// Ends what waited for a file that is nowhere.
    fn give_up(&mut self, options: &Options, number: u64, now: Now) {
        let Some(list) = self.waiting.remove(&number) else {
            return;
        };
        let (gone, rest): (Vec<_>, Vec<_>) =
            list.into_iter().partition(|position| input_of(options, position).is_some());
        if !rest.is_empty() {
            self.waiting.insert(number, rest);
        }
        for position in gone {
            let (path, read) = (&position.path, position.byte);
            tracing::info!(%path, read, "a file went away while nobody looked");
            let committed = Some(crate::follow::Mark::of(&position));
            self.end_position(position, committed, 0, now);
        }
    }

    fn forget_old(&mut self, options: &Options, now: Now) {
        let keep = options.limits.keep_finished;
        let Catalog { past, ended, forgotten, .. } = self;
        for list in past.values_mut() {
            let old = list.extract_if(.., |old| {
                let pending = ended.iter().any(|ended| ended.position.file_id == old.position.file_id);
                now.monotonic >= old.since + keep && !pending
            });
            forgotten.extend(old.map(|old| old.position));
        }
        past.retain(|_, list| !list.is_empty());
    }
}

/// Index of the input that `position` belongs to.
fn input_of(options: &Options, position: &millrace_schemas::position::FilePosition) -> Option<usize> {
    options.inputs.iter().position(|input| input.tenant == position.tenant && input.stream == position.stream)
}

fn warn_lost(path: &Path, read: u64, lost: u64) {
    let (path, from, to) = (path.display(), read, read + lost);
    warn!(%path, from, to, "a file went away before all of it could be read; these bytes are lost");
}
