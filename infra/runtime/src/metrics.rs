//! Every metric of the runtime, each with a sentence. Typed functions: nobody else writes a metric's name.

use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

/// Tells the recorder what the names mean.
pub fn describe() {
    describe_counter!("millrace_transactions_total", "transactions by result");
    describe_histogram!("millrace_transaction_end_seconds", "how long the call that ends a transaction took");
    describe_counter!(
        "millrace_producers_remade_total",
        "producers made anew after a transaction in doubt, by call"
    );
    describe_counter!("millrace_rejoins_total", "times a loop dropped its state and joined its group anew");
    describe_counter!("millrace_rebalances_total", "assignments of partitions");
    describe_gauge!("millrace_partitions_assigned", "partitions held by this process");
    describe_counter!("millrace_records_total", "records by stage and outcome");
    describe_counter!("millrace_record_bytes_total", "bytes of bodies by stage");
    describe_counter!("millrace_objects_total", "objects put into the store, by stage and kind");
    describe_counter!("millrace_object_bytes_total", "bytes put into the store, by stage and kind");
    describe_counter!("millrace_orphans_deleted_total", "objects deleted that no manifest names, by stage");
    describe_counter!("millrace_objects_deleted_total", "replaced objects deleted, by stage");
    describe_gauge!("millrace_flow_wait", "1 while producers of the topic are told to wait");
    describe_gauge!("millrace_topic_bytes", "estimated bytes that a topic takes");
    describe_gauge!(
        "millrace_archive_lag_records",
        "records of a topic that the archive does not hold yet; alarm when it grows"
    );
    describe_gauge!(
        "millrace_last_stable_offset_age_seconds",
        "age of the oldest open transaction of a topic; alarm above 20"
    );
    describe_counter!("millrace_ledger_folded_total", "ledger deltas folded into cells");
    describe_counter!("millrace_ledger_cells_written_total", "ledger cells written by folding");
    describe_gauge!("millrace_ledger_unfolded", "ledger deltas that are not folded yet; alarm when it grows");
    describe_counter!(
        "millrace_forwarder_lost_bytes_total",
        "bytes destroyed by truncations before they could be read"
    );
    describe_gauge!("millrace_forwarder_behind_bytes", "bytes of followed files that are not committed yet");
    describe_gauge!("millrace_forwarder_files", "files that are followed");
    describe_gauge!("millrace_spool_bytes", "bytes on disk that wait for a gateway");
    describe_gauge!("millrace_spool_waiting_records", "lines on disk that wait for a gateway");
    describe_gauge!(
        "millrace_spool_oldest_seconds",
        "since when the oldest batch waits whose minute is over; alarm when it grows"
    );
    describe_gauge!("millrace_spool_wait", "1 while nothing is read since the spool is at its bound");
    describe_gauge!("millrace_spool_parked_files", "batches that the gateway refused; alarm above 0");
    describe_counter!("millrace_spool_dropped_total", "parked batches that were dropped for later ones");
    describe_counter!("millrace_uplink_records_total", "lines that a gateway has taken");
    describe_counter!("millrace_uplink_attempts_total", "attempts to send a batch, by result");
    describe_counter!("millrace_gateway_answers_total", "requests answered by the gateway, by status");
    describe_counter!(
        "millrace_gateway_denied_total",
        "requests with a wrong key or without the right to what they ask, by status"
    );
    describe_counter!(
        "millrace_gateway_refused_total",
        "requests that the gateway refused, and items of requests of which the rest was taken, by reason"
    );
    describe_counter!("millrace_gateway_handshakes_total", "TLS connections to the gateway, by result");
    describe_counter!(
        "millrace_gateway_certificates_total",
        "times the gateway's certificate had changed, by what came of reading it; alarm on wrong"
    );
    describe_histogram!(
        "millrace_gateway_commit_seconds",
        "how long a request waited until its lines were committed"
    );
    describe_counter!(
        "millrace_gateway_known_records_total",
        "lines that were sent again and had been committed before"
    );
    describe_counter!(
        "millrace_gateway_syslog_dropped_total",
        "syslog messages that were dropped, by reason"
    );
    describe_histogram!("millrace_search_seconds", "how long searches took");
    describe_counter!(
        "millrace_admin_requests_total",
        "requests to the admin API, by what they ask and the status of the answer"
    );
}

/// A transaction ended; the call took `took`.
pub fn transaction(result: &'static str, took: Duration) {
    counter!("millrace_transactions_total", "result" => result).increment(1);
    histogram!("millrace_transaction_end_seconds", "result" => result).record(took.as_secs_f64());
}

/// A producer was made anew because `call` was in doubt.
pub fn producer_remade(call: &'static str) {
    counter!("millrace_producers_remade_total", "call" => call).increment(1);
}

/// A loop of `service` joined anew.
pub fn rejoin(service: &str) {
    counter!("millrace_rejoins_total", "service" => service.to_owned()).increment(1);
}

/// A loop of `service` was assigned `n_partitions`.
pub fn rebalance(service: &str, n_partitions: usize) {
    counter!("millrace_rebalances_total", "service" => service.to_owned()).increment(1);
    gauge!("millrace_partitions_assigned", "service" => service.to_owned()).set(n_partitions as f64);
}

/// `stage` did `outcome` to `n_records` with bodies of `bytes`.
pub fn records(stage: &'static str, outcome: &'static str, n_records: u64, bytes: u64) {
    counter!("millrace_records_total", "stage" => stage, "outcome" => outcome).increment(n_records);
    counter!("millrace_record_bytes_total", "stage" => stage).increment(bytes);
}

/// `stage` put an object of `kind` (`bundle`, `merge`).
pub fn object_put(stage: &'static str, kind: &'static str, bytes: u64) {
    counter!("millrace_objects_total", "stage" => stage, "kind" => kind).increment(1);
    counter!("millrace_object_bytes_total", "stage" => stage, "kind" => kind).increment(bytes);
}

/// `stage` deleted an orphan, or a replaced object.
pub fn object_deleted(stage: &'static str, orphan: bool) {
    let name = if orphan { "millrace_orphans_deleted_total" } else { "millrace_objects_deleted_total" };
    counter!(name, "stage" => stage).increment(1);
}

/// A part could not be merged by `stage`: its object is missing or damaged.
pub fn merge_failed(stage: &'static str) {
    counter!("millrace_merges_failed_total", "stage" => stage).increment(1);
}

/// Producers of `topic` are told to wait, or no longer.
pub fn flow(topic: &str, wait: bool, bytes: i64) {
    gauge!("millrace_flow_wait", "topic" => topic.to_owned()).set(f64::from(u8::from(wait)));
    gauge!("millrace_topic_bytes", "topic" => topic.to_owned()).set(bytes as f64);
}

/// Records of `topic` that the archive does not hold yet.
pub fn archive_lag(topic: &str, n_records: i64) {
    gauge!("millrace_archive_lag_records", "topic" => topic.to_owned()).set(n_records as f64);
}

/// Seconds for which the last stable offset of `topic` has stood before the high watermark.
pub fn stable_age(topic: &str, seconds: f64) {
    gauge!("millrace_last_stable_offset_age_seconds", "topic" => topic.to_owned()).set(seconds);
}

/// A step folded `n_deltas` into `n_cells`.
pub fn folded(n_deltas: u64, n_cells: u64) {
    counter!("millrace_ledger_folded_total").increment(n_deltas);
    counter!("millrace_ledger_cells_written_total").increment(n_cells);
}

/// Deltas, and markers of transactions, that are not folded yet.
pub fn unfolded(n_deltas: i64) {
    gauge!("millrace_ledger_unfolded").set(n_deltas as f64);
}

/// Bytes that a truncation destroyed.
pub fn lost_bytes(bytes: u64) {
    counter!("millrace_forwarder_lost_bytes_total").increment(bytes);
}

/// A search took `took`.
pub fn search(took: Duration) {
    histogram!("millrace_search_seconds").record(took.as_secs_f64());
}

/// A request to the admin API asked for `action` and was answered.
pub fn admin_request(action: &'static str, status: u16) {
    counter!("millrace_admin_requests_total", "action" => action, "status" => status.to_string())
        .increment(1);
}

/// What waits for a gateway, and how it is sent; counts are since the start.
#[derive(Debug, Clone, Copy)]
pub struct Spool {
    /// Bytes on disk.
    pub bytes: u64,
    /// Lines that wait.
    pub waiting_records: u64,
    /// Since when the oldest batch waits whose minute is over.
    pub oldest_seconds: u64,
    /// Batches that were refused.
    pub parked_files: u64,
    /// Of these, dropped.
    pub dropped: u64,
    /// Nothing is read.
    pub full: bool,
    /// Lines that were taken.
    pub sent_records: u64,
    /// Attempts by result.
    pub attempts: [(&'static str, u64); 3],
}

/// How a spool is.
pub fn spool(spool: &Spool) {
    gauge!("millrace_spool_bytes").set(spool.bytes as f64);
    gauge!("millrace_spool_waiting_records").set(spool.waiting_records as f64);
    gauge!("millrace_spool_oldest_seconds").set(spool.oldest_seconds as f64);
    gauge!("millrace_spool_wait").set(f64::from(u8::from(spool.full)));
    gauge!("millrace_spool_parked_files").set(spool.parked_files as f64);
    counter!("millrace_spool_dropped_total").absolute(spool.dropped);
    counter!("millrace_uplink_records_total").absolute(spool.sent_records);
    for (result, n_attempts) in spool.attempts {
        counter!("millrace_uplink_attempts_total", "result" => result).absolute(n_attempts);
    }
}

/// The forwarder follows `n_files` and has `behind` bytes of them to go.
pub fn forwarder(n_files: usize, behind: u64) {
    gauge!("millrace_forwarder_files").set(n_files as f64);
    gauge!("millrace_forwarder_behind_bytes").set(behind as f64);
}

/// The gateway answered a request.
pub fn gateway_answer(status: u16) {
    counter!("millrace_gateway_answers_total", "status" => status.to_string()).increment(1);
}

/// A request had no key that allows what it asks.
pub fn gateway_denied(status: u16) {
    counter!("millrace_gateway_denied_total", "status" => status.to_string()).increment(1);
}

/// `n` requests, or items of one, were refused because of `reason`.
pub fn gateway_refused(reason: &'static str, n: u64) {
    counter!("millrace_gateway_refused_total", "reason" => reason).increment(n);
}

/// A TLS connection: `ok`, `refused` by one of the two sides, or out of `time`.
pub fn gateway_handshake(result: &'static str) {
    counter!("millrace_gateway_handshakes_total", "result" => result).increment(1);
}

/// The files of the certificate had changed: `read`, or `wrong` and the former one stays.
pub fn gateway_certificate(result: &'static str) {
    counter!("millrace_gateway_certificates_total", "result" => result).increment(1);
}

/// A request's lines were committed after `took`.
pub fn gateway_commit(took: Duration) {
    histogram!("millrace_gateway_commit_seconds").record(took.as_secs_f64());
}

/// Lines that were sent again and had been committed before.
pub fn gateway_known(n_records: u64) {
    counter!("millrace_gateway_known_records_total").increment(n_records);
}

/// Syslog messages that were dropped because of `reason`.
pub fn syslog_dropped(reason: &'static str, n_messages: u64) {
    counter!("millrace_gateway_syslog_dropped_total", "reason" => reason).increment(n_messages);
}
