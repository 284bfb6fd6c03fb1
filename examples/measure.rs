use std::rc::Rc;
use std::time::{Duration, Instant};
use hostler::host::Ports;
use hostler::sources::{SOURCES, SourceContext, SourceSettings, poller};
use hostler::domain::*;
fn cpu(name: &str) -> u64 {
    let mut t = 0;
    for e in std::fs::read_dir("/proc/self/task").unwrap() {
        let p = e.unwrap().path();
        let c = std::fs::read_to_string(p.join("comm")).unwrap();
        if name.is_empty() || c.trim() == name {
            let s = std::fs::read_to_string(p.join("schedstat")).unwrap();
            t += s.split(' ').next().unwrap().parse::<u64>().unwrap();
        }
    }
    t
}
fn main() {
    let start = Instant::now();
    let endpoint = std::env::args().nth(1).unwrap();
    let rounds: u32 = std::env::args().nth(2).unwrap().parse().unwrap();
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&rt, async {
        let ports = Ports::new("/");
        let (tx, mut rx) = tokio::sync::mpsc::channel(4096);
        let settings = SourceSettings { docker_endpoint: Some(endpoint), ..Default::default() };
        let context = SourceContext::new(ports.clone(), Rc::new(settings), tx);
        let spec = |id| SOURCES.iter().find(|s| s.id == id).unwrap();
        let (d, u) = (spec(SourceId::Docker), spec(SourceId::Usage));
        let (mut docker, mut usage) = ((d.build)(&context), (u.build)(&context));
        let before = cpu("");
        let event = poller::read_once(d, docker.as_mut(), ports.clock).await;
        let took = start.elapsed();
        let own = cpu("") - before;
        match event { Event::Sampled { sample: Sample::Docker(s), detail, .. } => println!("all {} containers after {:?}, own cpu {} us: {detail}", s.containers.len(), took, own/1000), e => println!("{e:?}") }
        for i in 0..3 { 
            let b = cpu("sampler"); let a = Instant::now();
            let e = poller::read_once(u, usage.as_mut(), ports.clock).await;
            println!("usage {i}: {:?} wall, {} us sampler", a.elapsed(), (cpu("sampler")-b)/1000);
            if let Event::Sampled { detail, .. } = e { println!("{detail}") } else { println!("{e:?}") }
        }
        let (b, all) = (cpu("sampler"), cpu(""));
        let t = Instant::now();
        for i in 0..rounds {
            tokio::time::sleep(Duration::from_secs(1)).await;
            poller::read_once(u, usage.as_mut(), ports.clock).await;
            if i % 10 == 0 { poller::read_once(d, docker.as_mut(), ports.clock).await; }
            while rx.try_recv().is_ok() {}
        }
        println!("per second: sampler {:.1} us, all threads {:.1} us", (cpu("sampler")-b) as f64/1e3/t.elapsed().as_secs_f64(), (cpu("")-all) as f64/1e3/t.elapsed().as_secs_f64());
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        println!("{} fds {}", status.lines().find(|l| l.starts_with("VmRSS")).unwrap(), std::fs::read_dir("/proc/self/fd").unwrap().count());
    });
}
