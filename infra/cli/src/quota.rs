//! `millrace tenant quota`: what a tenant may send, as a record of `millrace.control`.

use millrace_admin::{access, control};
use millrace_schemas::quota::Quota;
use serde_json::json;

use crate::args::{Format, QuotaBounds, TenantQuota};
use crate::output::{Answer, answered};
use crate::place;

pub(crate) fn quota(args: &TenantQuota) -> anyhow::Result<Answer> {
    let wanted = of(&args.bounds);
    let service = place::service(&args.place)?;
    if !args.clear && wanted == Quota::default() {
        let known = control::read(&service)?;
        let shown = known.tenant(&args.id).map_err(control::Error::from);
        return answered(shown, |()| show(args, known.quotas.get(&args.id)));
    }
    let changed = control::change(&service, false, |known| match args.clear {
        true => access::clear_quota(known, &args.id),
        false => access::set_quota(known, &args.id, &wanted),
    });
    answered(changed, |()| {
        println!("within a second it holds at every gateway");
        Ok(())
    })
}

fn of(bounds: &QuotaBounds) -> Quota {
    Quota {
        bytes_per_second: bounds.bytes_per_second,
        burst_bytes: bounds.burst_bytes,
        events_per_second: bounds.events_per_second,
        burst_events: bounds.burst_events,
        concurrent_requests: bounds.concurrent_requests,
        max_body_bytes: bounds.max_body_bytes,
        max_line_bytes: bounds.max_line_bytes,
        max_streams: bounds.max_streams,
    }
}

fn show(args: &TenantQuota, quota: Option<&Quota>) -> anyhow::Result<()> {
    match (args.format, quota) {
        (Format::Json, quota) => println!("{}", serde_json::to_string_pretty(&json!(quota))?),
        (Format::Text, None) => {
            println!("tenant {} has no bounds here; those of the gateways' configuration hold", args.id);
        }
        (Format::Text, Some(quota)) => {
            let bounds = quota.bounds().into_iter().filter_map(|(name, bound)| Some((name, bound?)));
            bounds.for_each(|(name, bound)| println!("{name:<20} {bound}"));
        }
    }
    Ok(())
}
