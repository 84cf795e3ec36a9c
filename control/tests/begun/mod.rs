//! How the clusters of tests begin.

use docklet_control::command::InitCluster;
use docklet_control::id::MasterId;
use docklet_control::model::ClusterId;

/// One master, an admin, and networks of a thousand addresses.
pub fn init() -> InitCluster {
    InitCluster {
        cluster: ClusterId([7; 16]),
        cluster_name: "lab".to_owned(),
        cluster_net: "10.64.0.0/10".parse().expect("a network"),
        user_prefix: 22,
        cpu_overcommit_percent: 400,
        memory_overcommit_percent: 100,
        worker_timeout_ms: 5_000,
        admin_name: "admin".to_owned(),
        admin_password_hash: "argon2-of-a-secret".to_owned(),
        master: MasterId(1),
        master_name: "m1".to_owned(),
        cluster_addr: "192.0.2.1:7443".to_owned(),
        public_addr: "192.0.2.1:8443".to_owned(),
    }
}
