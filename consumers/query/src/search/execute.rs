//! Plans a search over the manifest and runs it over the splits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use millrace_formats::split::{Columns, Stored, StoredReader};
use millrace_schemas::manifest::{Fold, LivePart, TableName};
use tantivy::TantivyError;
use tantivy::query::{BooleanQuery, EnableScoring, Query as Runs};

use super::cache::{OpenSplit, SplitCache, damaged, internal};
use super::compile::Compiler;
use super::hit::Hit;
use super::language::{Query, Test, parse};
use super::redriven::Redriven;
use super::superseded;
use super::top::{Floor, Newest, Place};
use super::{MAX_LIMIT, MAX_RESPONSE_BYTES, SearchError, SearchRequest, SearchResponse};
use crate::Missing;
use crate::superseded::Hidden;

/// What a search will look at: made under the manifest's lock, run without it.
#[derive(Debug)]
pub struct Plan {
    query: Query,
    /// Latest first, by the time of the latest row.
    parts: Vec<LivePart>,
    n_pruned: usize,
    from: i64,
    to: i64,
    limit: usize,
    superseded: Hidden,
    /// What counts are remembered by.
    name: Option<Arc<str>>,
    missing: Vec<Missing>,
}

impl Plan {
    /// The same, leaving out lines that were replaced.
    pub fn without(self, superseded: Hidden) -> Plan {
        Plan { superseded, ..self }
    }

    /// The same, leaving out splits whose object is lost or damaged; the answer names them. Opens every split, and so
    /// reads whole what was not searched before.
    ///
    /// # Errors
    /// *Store*, *Internal*.
    pub fn readable(mut self, cache: &SplitCache) -> Result<Plan, SearchError> {
        for live in std::mem::take(&mut self.parts) {
            match cache.open(&live) {
                Ok(_) => self.parts.push(live),
                Err(error) => {
                    let reason = error.damage().map(str::to_owned).ok_or(error)?;
                    self.missing.push(Missing::of(&live, reason));
                }
            }
        }
        Ok(self)
    }
}

/// Reads the query and picks the live splits that may hold a hit.
///
/// # Errors
/// *Query* and *Limit*, the client's to mend.
pub fn plan(fold: &Fold, request: &SearchRequest) -> Result<Plan, SearchError> {
    if request.limit > MAX_LIMIT {
        return Err(SearchError::Limit { limit: request.limit });
    }
    let query = parse(&request.query)?;
    let name = request.cache.then(|| format!("{query:?}").into());
    let plan = pick(fold, &request.tenant, query, (request.from, request.to), request.limit)?;
    Ok(Plan { name, ..plan })
}

/// A plan for every row of `tenant` that `query` finds.
///
/// # Errors
/// *Query*: a bug.
pub(crate) fn plan_all(fold: &Fold, tenant: &str, query: Query) -> Result<Plan, SearchError> {
    pick(fold, tenant, query, (None, None), 0)
}

fn pick(
    fold: &Fold,
    tenant: &str,
    query: Query,
    between: (Option<i64>, Option<i64>),
    limit: usize,
) -> Result<Plan, SearchError> {
    let (from, to) = (between.0.unwrap_or(i64::MIN), between.1.unwrap_or(i64::MAX));
    // Compiled again to run; here it tells the client what is wrong even where no split is left.
    let columns = Columns::new();
    for table in [TableName::Events, TableName::Dead] {
        Compiler { columns: &columns, table }.compile(&query)?;
    }
    let hosts = required_hosts(&query);
    let may_hold = |live: &LivePart| {
        let part = &live.part;
        let host = part.hosts.is_empty() || hosts.iter().all(|host| part.hosts.iter().any(|own| own == host));
        // The latest instant of all belongs to an open end.
        let overlaps = part.overlaps(from, to) || (between.1.is_none() && part.time_to == i64::MAX);
        overlaps && host && may_be_in(&query, part.table)
    };
    let (mut parts, pruned): (Vec<&LivePart>, Vec<&LivePart>) =
        fold.tenant(tenant).partition(|live| may_hold(live));
    parts.sort_by(|a, b| (b.part.time_to, &b.part.id).cmp(&(a.part.time_to, &a.part.id)));
    let n_pruned = pruned.len();
    Ok(Plan {
        query,
        parts: parts.into_iter().cloned().collect(),
        n_pruned,
        from,
        to,
        limit,
        superseded: Hidden::default(),
        name: None,
        missing: Vec::new(),
    })
}

/// Runs a plan, on as many cores as there are splits and cores.
///
/// # Errors
/// *Gone* if a merge has replaced a split meanwhile; *Store*, *Damaged*, *Internal*.
pub fn run(cache: &SplitCache, plan: Plan) -> Result<SearchResponse, SearchError> {
    let start = Instant::now();
    let (next, floor) = (AtomicUsize::new(0), Floor::default());
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from).min(plan.parts.len());
    let redriven = Redriven::gather(cache, &plan.parts)?;
    let look = || look(cache, &plan, &redriven, &next, Newest::new(plan.limit, &floor));
    let (newest, total) = std::thread::scope(|scope| {
        let others: Vec<_> = (1..n_threads).map(|_| scope.spawn(look)).collect();
        let mut sum = look()?;
        for other in others {
            let panicked = |_| Err(internal("search the splits", "a thread panicked".to_owned()));
            let (newest, total) = other.join().unwrap_or_else(panicked)?;
            sum.0.absorb(newest);
            sum.1 += total;
        }
        Ok::<_, SearchError>(sum)
    })?;
    let (hits, truncated) = show(cache, &plan, newest.into_places())?;
    Ok(SearchResponse {
        hits,
        total,
        truncated,
        elapsed_ms: start.elapsed().as_millis() as u64,
        splits_searched: plan.parts.len(),
        splits_pruned: plan.n_pruned,
        missing: plan.missing,
    })
}

/// Takes the next split until none is left: the newest rows found there, and how many there were.
fn look<'f>(
    cache: &SplitCache,
    plan: &Plan,
    redriven: &Redriven,
    next: &AtomicUsize,
    mut newest: Newest<'f>,
) -> Result<(Newest<'f>, u64), SearchError> {
    let columns = Columns::new();
    let mut total = 0;
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        let Some(live) = plan.parts.get(n) else { return Ok((newest, total)) };
        let OpenSplit { split, counts } = &*cache.open(live)?;
        let table = live.part.table;
        let hidden = redriven.within(split, table).map_err(fail)?;
        let attempts = superseded::within(split, plan.superseded.ids()).map_err(fail)?;
        let is_cut = live.part.time_from < plan.from || live.part.time_to >= plan.to;
        // Of the whole split, whatever else is live.
        let name = plan.name.as_ref().filter(|_| hidden.is_none() && attempts.is_empty() && !is_cut);
        let may_show = hidden.is_some() || newest.admits(live.part.time_to);
        if let Some(count) = name.filter(|_| !may_show).and_then(|name| counts.of(name)) {
            total += count;
            continue;
        }
        let compiler = Compiler { columns: &columns, table };
        let mut query = compiler.compile(&plan.query)?;
        if is_cut {
            query = within(query, &compiler, plan);
        }
        let query = superseded::exclude(query, attempts);
        let weight = query.weight(EnableScoring::disabled_from_schema(columns.schema())).map_err(fail)?;
        let count = if may_show {
            let is_dead = u8::from(table == TableName::Dead);
            newest.collect(weight.as_ref(), split, (n, is_dead), hidden.as_ref()).map_err(fail)?
        } else {
            // Too old to be shown: for many queries the count is in the dictionary.
            u64::from(weight.count(split.segment()).map_err(fail)?)
        };
        if let Some(name) = name {
            counts.note(name, count);
        }
        total += count;
    }
}

/// Gives every row that a plan finds, split by split.
///
/// # Errors
/// As [`run`].
pub(crate) fn each_row(
    cache: &SplitCache,
    plan: &Plan,
    mut each: impl FnMut(&Stored<'_>),
) -> Result<(), SearchError> {
    let columns = Columns::new();
    let reader = StoredReader::new().map_err(|error| internal(error.action, error.reason))?;
    for live in &plan.parts {
        let (open, object) = (cache.open(live)?, &live.record.object);
        let split = &open.split;
        let query = Compiler { columns: &columns, table: live.part.table }.compile(&plan.query)?;
        let attempts = superseded::within(split, plan.superseded.ids()).map_err(fail)?;
        let query = superseded::exclude(query, attempts);
        let weight = query.weight(EnableScoring::disabled_from_schema(columns.schema())).map_err(fail)?;
        let mut rows = Vec::new();
        weight
            .for_each_no_score(split.segment(), &mut |found| rows.extend_from_slice(found))
            .map_err(fail)?;
        for row in rows {
            let stored = split.stored(row).map_err(|error| damaged(error, object))?;
            each(&reader.read(&stored).map_err(|error| damaged(error, object))?);
        }
    }
    Ok(())
}

/// [`plan`] and [`run`] in one.
///
/// # Errors
/// Those of both.
pub fn search(
    cache: &SplitCache,
    fold: &Fold,
    request: &SearchRequest,
) -> Result<SearchResponse, SearchError> {
    run(cache, plan(fold, request)?)
}

/// The one argument that a compiled query can get wrong is how many words its wildcards stand for.
fn fail(error: TantivyError) -> SearchError {
    match error {
        TantivyError::InvalidArgument(reason) => SearchError::TooBroad { reason: reason.to_lowercase() },
        error => internal("search a split", error.to_string()),
    }
}

fn within(query: Box<dyn Runs>, compiler: &Compiler<'_>, plan: &Plan) -> Box<dyn Runs> {
    Box::new(BooleanQuery::intersection(vec![query, compiler.between(plan.from, plan.to)]))
}

/// Reads the rows to be shown, newest first, until the answer is large enough.
fn show(cache: &SplitCache, plan: &Plan, places: Vec<Place>) -> Result<(Vec<Hit>, bool), SearchError> {
    let reader = StoredReader::new().map_err(|error| internal(error.action, error.reason))?;
    let mut hits = Vec::with_capacity(places.len());
    let mut bytes = 0;
    let mut held = None;
    for (n, row) in places {
        let live = &plan.parts[n];
        let object = &live.record.object;
        let open = match held.take() {
            Some((own, open)) if own == n => open,
            _ => cache.open(live)?,
        };
        let stored = open.split.stored(row).map_err(|error| damaged(error, object))?;
        bytes += stored.len();
        if bytes > MAX_RESPONSE_BYTES && !hits.is_empty() {
            return Ok((hits, true));
        }
        hits.push(Hit::of(&reader.read(&stored).map_err(|error| damaged(error, object))?));
        held = Some((n, open));
    }
    Ok((hits, false))
}

/// Hosts that every hit must have.
fn required_hosts(query: &Query) -> Vec<String> {
    match query {
        Query::And(all) => all.iter().flat_map(required_hosts).collect(),
        Query::Is(condition) if condition.field.as_deref() == Some("host") => match &condition.test {
            Test::Word(pattern) => pattern.as_literal().into_iter().collect(),
            Test::Phrase(text) => vec![text.clone()],
            Test::Range(..) => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// Whether rows of `table` may be found; only what is sure is ruled out.
fn may_be_in(query: &Query, table: TableName) -> bool {
    match query {
        Query::And(all) => all.iter().all(|query| may_be_in(query, table)),
        Query::Is(condition) => match (condition.field.as_deref(), &condition.test) {
            (Some("table"), Test::Word(pattern)) => pattern.matches(table.as_str()),
            (Some("table"), Test::Phrase(text)) => text == table.as_str(),
            (Some("reason"), _) => table == TableName::Dead,
            (Some("severity" | "user" | "flag" | "flags"), _) => table == TableName::Events,
            _ => true,
        },
        _ => true,
    }
}
