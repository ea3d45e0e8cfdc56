//! The `millrace` binary: every service and every tool as a subcommand.

mod access;
mod args;
mod batches;
mod bench;
mod books;
mod cat;
mod demo;
mod dlq;
mod doctor;
mod forward;
mod gateway;
mod inputs;
mod ledger;
mod limits;
mod loadgen;
mod output;
mod parse;
mod place;
mod quota;
mod relay_keys;
mod search;
mod seed;
mod services;
mod source;
mod spool;
mod status;
mod stream;
mod topics;
mod up;
mod upstream;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Cli, Command, Job, Key, Spool, Tenant, Topics};
use output::Answer;

fn main() -> ExitCode {
    output::end_with_reader();
    millrace_runtime::memory::give_back();
    limits::raise();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let wrong_use = error.use_stderr();
            if error.print().is_err() {
                return ExitCode::from(74);
            }
            return ExitCode::from(if wrong_use { 64 } else { 0 });
        }
    };
    match run(cli.command) {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        Ok(Answer::Unknown) => ExitCode::from(2),
        Err(error) if output::has_left(&error) => ExitCode::from(output::LEFT),
        Err(error) => {
            eprintln!("millrace: {}", output::chain(&error));
            let config = error.downcast_ref::<millrace_runtime::config::ConfigError>().is_some();
            ExitCode::from(if config { 78 } else { 2 })
        }
    }
}

fn run(command: Command) -> anyhow::Result<Answer> {
    match command {
        Command::Up(args) => up::run(&args),
        Command::Forward(args) => forward::run(&args),
        Command::Gateway(args) => gateway::run(&args),
        Command::Job(Job::Parse(args)) => services::run(services::Kind::Parse, &args),
        Command::Dlq(command) => dlq::run(&command),
        Command::Parse(tool) => parse::run(&tool),
        Command::Source(command) => source::run(&command),
        Command::Stream(command) => stream::run(&command),
        Command::Index(args) => services::run(services::Kind::Index, &args),
        Command::Archive(args) => services::run(services::Kind::Archive, &args),
        Command::Query(args) => services::run(services::Kind::Query, &args),
        Command::Topics(Topics::Apply(args)) => topics::apply(&args),
        Command::Topics(Topics::Check(args)) => topics::check(&args),
        Command::Tenant(Tenant::Create(args)) => access::create_tenant(&args),
        Command::Tenant(Tenant::Ls(args)) => access::ls_tenants(&args),
        Command::Tenant(Tenant::Quota(args)) => quota::quota(&args),
        Command::Key(Key::Create(args)) => access::create_key(&args),
        Command::Key(Key::Ls(args)) => access::ls_keys(&args),
        Command::Key(Key::Revoke(args)) => access::revoke_key(&args),
        Command::Seed(args) => seed::run(&args),
        Command::Spool(Spool::Ls(args)) => spool::ls(&args),
        Command::Spool(Spool::Retry(args)) => spool::retry(&args),
        Command::Spool(Spool::Drop(args)) => spool::drop(&args),
        Command::Search(args) => search::run(&args),
        Command::Batches(args) => batches::ls(&args),
        Command::Cat(args) => cat::cat(&args),
        Command::Files(args) => cat::files(&args),
        Command::Ledger(args) => ledger::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Loadgen(args) => loadgen::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Completion { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "millrace", &mut std::io::stdout());
            Ok(Answer::Yes)
        }
    }
}
