//! `millrace stream`: streams of tenants as records of `millrace.control`.

use millrace_admin::streams::{self, StreamWish};
use millrace_admin::{Expected, control};
use millrace_runtime::sink::now_micros;

use crate::args::{Format, OfTenant, StreamMake, StreamRm, StreamSet, StreamShow, Streams};
use crate::output::{Answer, answered, minute, print_rows};
use crate::place;
use crate::source::live::counting;

pub(crate) fn run(command: &Streams) -> anyhow::Result<Answer> {
    match command {
        Streams::Create(args) => create(args),
        Streams::Ls(args) => ls(args),
        Streams::Show(args) => show(args),
        Streams::Set(args) => set(args),
        Streams::Rm(args) => rm(args),
    }
}

fn create(args: &StreamMake) -> anyhow::Result<Answer> {
    let service = place::service(&args.place)?;
    let wish = StreamWish { source: args.source.clone(), note: args.note.clone() };
    let (tenant, name) = args.stream.id();
    let made = control::change(&service, args.dry_run, |known| {
        streams::create(known, (tenant, name), &wish, now_micros())
    });
    answered(made, |_| {
        let said = if args.dry_run { "can be made" } else { "is made" };
        println!("stream {name} of {tenant} {said}");
        Ok(())
    })
}

fn set(args: &StreamSet) -> anyhow::Result<Answer> {
    let service = place::service(&args.place)?;
    let (tenant, name) = args.stream.id();
    let changed = control::change(&service, args.dry_run, |known| {
        let own = known.stream(tenant, name)?.clone();
        let source = if args.no_source { None } else { args.source.clone().or(own.source) };
        let note = args.note.clone().or(own.note).filter(|note| !note.is_empty());
        let (changes, _) =
            streams::set(known, (tenant, name), &StreamWish { source, note }, Expected::Any, now_micros())?;
        let is_same = changes.is_empty();
        Ok((changes, is_same))
    });
    answered(changed, |is_same| {
        match (is_same, args.dry_run) {
            (true, _) => println!("stream {name} of {tenant} is so already"),
            (false, true) => println!("stream {name} of {tenant} can be changed"),
            (false, false) => println!("stream {name} of {tenant} is changed; the parse job takes it up"),
        }
        Ok(())
    })
}

fn ls(args: &OfTenant) -> anyhow::Result<Answer> {
    let service = place::service(&args.place)?;
    let (known, config) = (control::read(&service)?, &service.config.parse);
    let files = crate::parse::load(config, args.place.config.as_deref())?;
    let sources = counting(files, &known.sources);
    let reader = |name: &str| {
        let source = sources.iter().rfind(|source| source.streams().iter().any(|own| own == name));
        let format =
            config.streams.iter().find(|(stream, _)| stream == name).map(|(_, format)| format.as_str());
        source.map_or(format.unwrap_or(&config.default_format), |source| source.name()).to_owned()
    };
    let mut rows = known.stream_rows(args.tenant.as_deref());
    for row in rows.iter_mut().filter(|row| row["source"].is_null()) {
        row["read_by"] = reader(row["name"].as_str().unwrap_or_default()).into();
    }
    print_rows(args.format, &["tenant", "name", "source", "read_by", "set", "note"], &[], &rows)?;
    Ok(Answer::Yes)
}

fn show(args: &StreamShow) -> anyhow::Result<Answer> {
    let known = control::read(&place::service(&args.place)?)?;
    let (tenant, name) = args.stream.id();
    answered(known.stream(tenant, name).map_err(control::Error::from), |entry| {
        if args.format == Format::Json {
            println!("{}", serde_json::to_string_pretty(entry)?);
            return Ok(());
        }
        let rows = [("source", &entry.source), ("note", &entry.note), ("set", &Some(minute(entry.set)))];
        let rows = rows.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?)));
        rows.for_each(|(name, text)| println!("{name:<7} {text}"));
        Ok(())
    })
}

fn rm(args: &StreamRm) -> anyhow::Result<Answer> {
    let service = place::service(&args.place)?;
    let (tenant, name) = args.stream.id();
    let removed =
        control::change(&service, false, |known| streams::remove(known, (tenant, name), Expected::Any));
    answered(removed, |()| {
        println!("stream {name} of {tenant} is forgotten; its lines stay");
        Ok(())
    })
}
