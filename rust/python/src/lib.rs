//! The module `dimsefast._core`: the network crate as Python sees it, and nothing else.

mod associate;
mod command;
mod connection;
mod decode;
mod encode;
mod journal;
mod log;
mod message;
mod negotiation;
mod pool;
mod prepared;
mod query;
mod server;
mod storing;
mod tls;
mod wait;
mod wakeup;

use std::time::Duration;

use dimsefast_network::process;
use pyo3::prelude::*;

/// To be called in the child of a fork: forgets the parent's threads, runtime and sockets.
#[pyfunction]
fn forget_parent() {
    process::forget_parent();
    pool::forget_parent();
    log::forget_parent();
}

/// Aborts all associations and stops all threads, within `limit` seconds.
#[pyfunction]
fn stop(py: Python<'_>, limit: f64) {
    py.detach(|| {
        let half = Duration::from_secs_f64((limit / 2.0).max(0.0));
        process::stop(half);
        pool::stop(half);
        log::stop(half);
    });
}

// Nobody has run the tests without the GIL yet; the release workflow does (PYTHON_GIL=0). Until then a free-threaded
// interpreter turns it on when this is imported.
#[pymodule(gil_used = true)]
mod _core {
    #[pymodule_export]
    use super::associate::connect;
    #[pymodule_export]
    use super::connection::Connection;
    #[pymodule_export]
    use super::decode::{Encoded, known_tag};
    #[pymodule_export]
    use super::encode::encode;
    #[pymodule_export]
    use super::journal::{Journal, import_object, read_index_headers, uid_hash};
    #[pymodule_export]
    use super::log::{flush_log, set_log_level};
    #[pymodule_export]
    use super::message::{Message, parse_file_meta, read_file_meta, read_header};
    #[pymodule_export]
    use super::negotiation::Negotiation;
    #[pymodule_export]
    use super::prepared::Prepared;
    #[pymodule_export]
    use super::query::Query;
    #[pymodule_export]
    use super::server::Server;
    #[pymodule_export]
    use super::storing::{Layout, StorePlan, remove_leftovers, safe_name};
    #[pymodule_export]
    use super::tls::{Security, Tls, certificate_subject};
    #[pymodule_export]
    use super::wakeup::{Connecting, Wakeup};
    #[pymodule_export]
    use super::{forget_parent, stop};
}
