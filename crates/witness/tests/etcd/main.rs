//! The witness against real etcd: a cluster of three on loopback, its members killed, frozen,
//! silenced and brought back.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

/// A cluster, or an end of the test with a word where there is no etcd.
macro_rules! cluster {
    ($count:expr, $tls:expr) => {
        match crate::cluster::Cluster::start($count, $tls).await {
            Some(cluster) => cluster,
            None => {
                eprintln!("etcd is not installed");
                return;
            }
        }
    };
}

mod authority;
mod cluster;
mod faults;
mod figures;
mod plain;
mod proxy;
mod reader;
mod refusals;
