//! `millrace tenant quota`: what a tenant may send, as a record of `millrace.control`.

use millrace_schemas::control::ControlRecord;
use millrace_schemas::quota::Quota;
use serde_json::json;

use crate::access::{Known, write};
use crate::args::{Format, QuotaBounds, TenantQuota};
use crate::control::Control;
use crate::output::Answer;
use crate::place;

pub(crate) fn quota(args: &TenantQuota) -> anyhow::Result<Answer> {
    let wanted = of(&args.bounds);
    let faults: Vec<_> = wanted.faults().iter().map(|(name, why)| format!("{name} {why}")).collect();
    if !faults.is_empty() {
        anyhow::bail!("{}", faults.join("; "));
    }
    let service = place::service(&args.place)?;
    let known = Known::read(&service)?;
    if !known.has_tenant(&args.id) {
        println!("there is no tenant {}; `millrace tenant create {}` makes it", args.id, args.id);
        return Ok(Answer::No);
    }
    if args.clear {
        let key = ControlRecord::quota(&args.id, &wanted).key();
        Control::open(&service)?.write(&service, &[(key, None)])?;
    } else if wanted != Quota::default() {
        write(&service, &ControlRecord::quota(&args.id, &wanted))?;
    } else {
        show(args, known.quotas.get(&args.id))?;
        return Ok(Answer::Yes);
    }
    println!("within a second it holds at every gateway");
    Ok(Answer::Yes)
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
