//! `millrace topics`.

use millrace_runtime::kafka::admin::{Admin, Difference};
use millrace_runtime::service::topic_specs;

use crate::args::TopicsArgs;
use crate::output::Answer;
use crate::place;

pub(crate) fn apply(args: &TopicsArgs) -> anyhow::Result<Answer> {
    if args.dry_run {
        return check(args);
    }
    let config = place::config(&args.place)?;
    let admin = Admin::open(&config.kafka)?;
    admin.ping(std::time::Duration::from_secs(10))?;
    let specs = topic_specs(config.kafka.partitions)?;
    let differences = admin.apply(&specs)?;
    let lasting: Vec<_> =
        differences.iter().filter(|difference| matches!(difference, Difference::Partitions { .. })).collect();
    for difference in &differences {
        println!("{difference}{}", if lasting.contains(&difference) { "" } else { ": mended" });
    }
    if lasting.is_empty() {
        println!("{} topics are as infra/topics.toml wants them", specs.len());
    }
    Ok(if lasting.is_empty() { Answer::Yes } else { Answer::No })
}

pub(crate) fn check(args: &TopicsArgs) -> anyhow::Result<Answer> {
    let config = place::config(&args.place)?;
    let admin = Admin::open(&config.kafka)?;
    admin.ping(std::time::Duration::from_secs(10))?;
    let specs = topic_specs(config.kafka.partitions)?;
    let differences = admin.check(&specs)?;
    for difference in &differences {
        println!("{difference}");
    }
    if differences.is_empty() {
        println!("{} topics are as infra/topics.toml wants them", specs.len());
        return Ok(Answer::Yes);
    }
    println!("run `millrace topics apply` to mend what can be mended");
    Ok(Answer::No)
}
