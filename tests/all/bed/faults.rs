//! Containers as they go wrong in real life, and healthy ones beside them that nobody may blame.
//!
//! Each returns as soon as the container has been started; the fault itself shows a moment later.

use super::{Container, Engine, Restart, foreign};

/// The limit of [`oom_killed`], in bytes.
pub(crate) const OOM_LIMIT: i64 = 64 << 20;

/// Does nothing, for good.
pub(crate) fn steady(engine: &Engine) -> Container {
    engine.run("steady", |spec| spec)
}

/// Its healthcheck succeeds each second.
pub(crate) fn healthy(engine: &Engine) -> Container {
    engine.run("healthy", |spec| spec.healthcheck("echo all is well"))
}

/// Did its work and ended with 0, as it should.
pub(crate) fn completed(engine: &Engine) -> Container {
    engine.run("completed", |spec| spec.shell("echo migrated; exit 0"))
}

/// Exits with 1 soon after each start, and is started again. The engine doubles its pause (0.1 s at
/// first) each time, so the restarts become rare: three in about two seconds, six in about ten.
pub(crate) fn crash_loop(engine: &Engine) -> Container {
    engine.run("crash-loop", |spec| {
        spec.shell("echo cannot reach the database; sleep 0.2; exit 1").restart(Restart::Always)
    })
}

/// Failed as often as its restart policy allows (exit code 7, three restarts), and stays down.
pub(crate) fn retries_exhausted(engine: &Engine) -> Container {
    engine.run("exhausted", |spec| spec.shell("exit 7").restart(Restart::OnFailure(3)))
}

/// Runs, but its healthcheck fails each second.
pub(crate) fn unhealthy(engine: &Engine) -> Container {
    engine.run("unhealthy", |spec| spec.healthcheck("echo connection refused; exit 1"))
}

/// Takes memory until the kernel kills it at [`OOM_LIMIT`].
pub(crate) fn oom_killed(engine: &Engine) -> Container {
    // `tail` keeps a line until it ends, and this one never does.
    engine.run("oom", |spec| spec.command(&["tail", "/dev/zero"]).memory_limit(OOM_LIMIT))
}

/// Names a program that its image does not have: created, never started, exit code 127.
pub(crate) fn not_startable(engine: &Engine) -> Container {
    engine.run("not-startable", |spec| spec.command(&["/no/such/program"]).does_not_start())
}

/// Writes about this many numbered lines a second ("line 1 of the log …"), in up to ten batches.
pub(crate) fn logger(engine: &Engine, lines_per_second: u32) -> Container {
    let batches = lines_per_second.clamp(1, 10);
    let batch = lines_per_second / batches;
    let pause = 1.0 / f64::from(batches);
    let script = format!(
        "i=0; while :; do n=0; \
         while [ $n -lt {batch} ]; do i=$((i+1)); n=$((n+1)); echo line $i of the log; done; \
         sleep {pause:.3}; done"
    );
    engine.run("logger", |spec| spec.shell(&script))
}

/// Carries [`foreign::text`] in its labels and writes [`foreign::bytes`] to its log, followed by a line
/// of [`foreign::LONG_LINE`] letters, an empty line and the line "end of the foreign text".
pub(crate) fn foreign_text(engine: &Engine) -> Container {
    // The empty line: engine 20.10 forgets the end of a line longer than its buffer of 16 KiB.
    let script = format!(
        "printf '{}\\n'; head -c {} /dev/zero | tr '\\0' x; \
         printf '\\n\\nend of the foreign text\\n'; exec sleep inf",
        foreign::for_printf(&foreign::bytes()),
        foreign::LONG_LINE
    );
    engine.run("foreign", |spec| {
        // The engine's json-file driver would replace what is not UTF-8; this one keeps each byte.
        spec.shell(&script)
            .log_driver("local")
            .label("hostler.test.foreign", &foreign::text())
            .compose(&foreign::text(), &foreign::text())
    })
}
