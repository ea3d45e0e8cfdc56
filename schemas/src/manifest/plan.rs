//! Which parts to merge next: tiers by size, within one tenant, table, stream and bucket.

use std::collections::BTreeMap;

use super::{Fold, LivePart, TableName};

/// When parts are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MergePolicy {
    /// Parts of one tier that make a merge.
    pub fan_in: usize,
    /// Parts merged at once, at most: each that is open costs memory.
    pub most_parts: usize,
    /// Parts of this size and more are left alone, bytes.
    pub max_bytes: i64,
    /// Merge what is there, however little, once nothing has come for this long, µs. Also what turns bundles into plain
    /// files. 0: never.
    pub idle: i64,
}

/// Parts to be made into one; all of one tenant, table, stream and bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merge {
    /// The parts, in order of their ids.
    pub parts: Vec<LivePart>,
}

/// The merges that are due at `now` (µs) among the live parts of `tenant` that are `sound`, most parts first. `single`
/// tells the parts that are worth rewriting alone (a part in a bundle, for outside readers).
pub fn plan_merges(
    fold: &Fold,
    tenant: &str,
    policy: &MergePolicy,
    now: i64,
    sound: impl Fn(&LivePart) -> bool,
    single: impl Fn(&LivePart) -> bool,
) -> Vec<Merge> {
    type Group<'f> = (TableName, Option<&'f str>, i64);
    let mut groups: BTreeMap<Group<'_>, Vec<&LivePart>> = BTreeMap::new();
    for live in fold.tenant(tenant).filter(|live| sound(live)) {
        let part = &live.part;
        groups.entry((part.table, part.stream.as_deref(), part.bucket)).or_default().push(live);
    }
    let mut merges = Vec::new();
    for parts in groups.into_values() {
        let youngest = parts.iter().map(|live| live.record.created).max().unwrap_or(now);
        let idle = policy.idle > 0 && now - youngest >= policy.idle;
        let mut tiers: BTreeMap<u32, Vec<&LivePart>> = BTreeMap::new();
        for live in parts {
            if live.part.len() < policy.max_bytes || single(live) {
                tiers.entry(tier(live.part.len(), policy.fan_in)).or_default().push(live);
            }
        }
        if idle {
            let all: Vec<&LivePart> = tiers.into_values().flatten().collect();
            let small: Vec<&LivePart> =
                all.iter().copied().filter(|live| single(live) || live.part.level == 0).collect();
            if small.len() > 1 || small.iter().any(|live| single(live)) {
                merges.extend(bounded(&small, policy));
            }
        } else {
            for parts in tiers.into_values().filter(|parts| parts.len() >= policy.fan_in) {
                merges.extend(bounded(&parts, policy));
            }
        }
    }
    merges.sort_by_key(|merge| std::cmp::Reverse(merge.parts.len()));
    merges
}

/// The first run of `parts` that stays within the policy's size and number.
fn bounded(parts: &[&LivePart], policy: &MergePolicy) -> Option<Merge> {
    let mut chosen: Vec<LivePart> = Vec::new();
    let mut bytes = 0;
    for live in parts {
        if !chosen.is_empty()
            && (bytes + live.part.len() > policy.max_bytes || chosen.len() >= policy.most_parts)
        {
            break;
        }
        bytes += live.part.len();
        chosen.push((*live).clone());
    }
    (!chosen.is_empty()).then_some(Merge { parts: chosen })
}

/// Powers of the fan-in from 64 KiB on.
fn tier(bytes: i64, fan_in: usize) -> u32 {
    let units = (bytes / (64 << 10)).max(1) as u64;
    units.ilog((fan_in as u64).max(2))
}

#[cfg(test)]
mod tests {
    use super::super::fold::tests::record;
    use super::*;

    const POLICY: MergePolicy = MergePolicy { fan_in: 3, most_parts: 12, max_bytes: 10_000, idle: 1_000 };

    fn fold(n: usize) -> Fold {
        let mut fold = Fold::default();
        for i in 0..n {
            fold.apply(&format!("default/r{i}"), Some(record(&format!("r{i}"), 1, &[])));
        }
        fold
    }

    #[test]
    fn fewer_than_fan_in_wait() {
        assert_eq!(plan_merges(&fold(2), "default", &POLICY, 6, |_| true, |_| false), vec![]);
    }

    #[test]
    fn fan_in_parts_of_a_tier_merge() {
        let merges = plan_merges(&fold(3), "default", &POLICY, 6, |_| true, |_| false);
        assert_eq!(merges.iter().map(|merge| merge.parts.len()).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn what_is_left_merges_when_idle() {
        let merges = plan_merges(&fold(2), "default", &POLICY, 2_000, |_| true, |_| false);
        assert_eq!(merges[0].parts.len(), 2);
        assert_eq!(plan_merges(&fold(1), "default", &POLICY, 2_000, |_| true, |_| false), vec![]);
        assert_eq!(plan_merges(&fold(1), "default", &POLICY, 2_000, |_| true, |_| true).len(), 1);
    }
    #[test]
    fn damaged_parts_are_left_out_and_the_others_merge() {
        let sound = |live: &LivePart| !live.part.id.starts_with("r1");
        let merges = plan_merges(&fold(4), "default", &POLICY, 6, sound, |_| false);
        let ids: Vec<&str> = merges[0].parts.iter().map(|live| live.part.id.as_str()).collect();
        assert_eq!((merges.len(), ids.len(), ids.iter().any(|id| id.starts_with("r1"))), (1, 3, false));
    }
}
