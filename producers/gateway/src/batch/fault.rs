//! Why what a batch holds cannot be taken (I9, I10). Pure.

use millrace_schemas::RawEvent;
use millrace_schemas::attempt::{BatchState, MAX_ATTEMPTS};

use super::Name;
use crate::item;

/// Of a line. Its host is its own: a relay sends those of many together.
pub(super) fn line_fault(raw: &RawEvent<'_>, tenant: &str, name: &Name) -> Option<String> {
    if let Some(reason) = not_own((raw.tenant, raw.stream), tenant, name) {
        return Some(reason);
    }
    if raw.host.is_empty() {
        return Some("its host is empty".to_owned());
    }
    let size: usize = raw.attributes.0.iter().map(|(name, value)| name.len() + value.len()).sum();
    let file = raw.file.unwrap_or_default().len().max(raw.file_id.unwrap_or_default().len());
    let over = |what: &str, is: usize, most: usize| {
        (is > most).then(|| format!("{what} has {is} bytes, at most {most} are taken"))
    };
    over("its body", raw.body.len(), item::MAX_BODY)
        .or_else(|| over("its host", raw.host.len(), item::MAX_HOST))
        .or_else(|| over("its file", file, item::MAX_FILE))
        .or_else(|| over("what stands beside it", size, item::MAX_ATTRIBUTE_BYTES))
}

/// Of what a relay tells of a batch.
pub(super) fn told_fault(state: &BatchState, tenant: &str, name: &Name) -> Option<String> {
    let own = not_own((&state.tenant, &state.stream), tenant, name);
    let counts = [state.open, state.ended].into_iter().flatten();
    let is_wrong = !Name::is_good(&state.host, state.source.as_deref())
        || counts.map(|own| own.number).any(|number| !(1..=MAX_ATTEMPTS).contains(&number));
    own.or_else(|| is_wrong.then(|| "what it tells of a batch is nothing that can be told".to_owned()))
}

fn not_own((tenant, stream): (&str, &str), wanted: &str, name: &Name) -> Option<String> {
    let differing = [("tenant", tenant, wanted), ("stream", stream, &name.stream)];
    let (what, ..) = differing.into_iter().find(|(_, own, wanted)| own != wanted)?;
    Some(format!("its {what} is not that of the batch"))
}

#[cfg(test)]
mod tests {
    use millrace_schemas::attempt::BatchAttempt;
    use millrace_schemas::ledger::Sum;

    use super::*;

    #[test]
    fn a_relay_tells_of_its_tenants_batches_within_bounds() {
        let name = Name { stream: "web".into(), host: "relay".into(), minute: 7, source: None };
        let state = |tenant: &str, stream: &str, host: &str, number| {
            let [tenant, stream, host] = [tenant, stream, host].map(str::to_owned);
            let open = Some(BatchAttempt { number, count: 1, hash: Sum(0) });
            BatchState { tenant, stream, host, minute: 7, source: None, open, ended: None }
        };
        let fault = |state: BatchState| told_fault(&state, "acme", &name);
        assert_eq!(fault(state("acme", "web", "h", MAX_ATTEMPTS)), None);
        for wrong in [
            state("other", "web", "h", 1),
            state("acme", "shop", "h", 1),
            state("acme", "web", "", 1),
            state("acme", "web", "a\nb", 1),
            state("acme", "web", "h", 0),
            state("acme", "web", "h", MAX_ATTEMPTS + 1),
        ] {
            assert!(fault(wrong.clone()).is_some(), "{wrong:?}");
        }
    }
}
