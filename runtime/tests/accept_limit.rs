//! Accepting without descriptors left. A process of its own, since the limit is the process's.

use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use sluice_runtime::net::ListenerConfig;
use sluice_runtime::{CoresConfig, spawn_cores, time};

const CLIENTS: u64 = 20;

#[test]
fn a_shortage_of_descriptors_is_waited_out() {
    let config = CoresConfig {
        cpus: vec![None],
        ..CoresConfig::pinned([])
    };
    let cores = spawn_cores(&config, |core| async move {
        let listener = core
            .listen((Ipv4Addr::LOCALHOST, 0).into(), &ListenerConfig::default())
            .unwrap();
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
        // Room for all clients and half of their counterparts.
        setrlimit(Resource::RLIMIT_NOFILE, open + CLIENTS + CLIENTS / 2, hard).unwrap();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| TcpStream::connect(listener.local_address()).unwrap())
            .collect();
        let mut held = Vec::new();
        while core.stats().accepts_failed == 0 {
            time::sleep(Duration::from_millis(5)).await;
        }
        let before = core.stats();
        time::sleep(Duration::from_millis(350)).await;
        let after = core.stats();
        assert!(after.accepts_failed > before.accepts_failed, "it tries again");
        let enters = after.ring_enters - before.ring_enters;
        assert!(enters < 40, "{enters} system calls: it spins");

        setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
        for _ in 0..CLIENTS {
            held.push(core.accept().await.unwrap());
        }
        assert_eq!(core.load() as u64, CLIENTS);
        drop(clients);
    });
    cores.unwrap().join().unwrap();
}
