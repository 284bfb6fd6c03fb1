//! Real databases in containers: the programs of this machine, mounted into the image of the tests.

use std::path::Path;

use bollard::container::LogOutput;
use bollard::exec::StartExecResults;
use bollard::models::ExecConfig;
use futures_util::TryStreamExt as _;

use super::{Container, DEADLINE, Engine, Spec, part, wait_until};

/// Which database.
#[derive(Clone, Copy)]
pub(crate) enum Database {
    Postgres,
    MariaDb,
    Redis,
}

/// A database that answers, in a container that removes it when dropped.
pub(crate) struct Server {
    pub(crate) container: Container,
    engine: Engine,
    database: Database,
}

/// The servers do not run as root, and must find the name of who runs them.
const NOBODY: &str = "echo nobody:x:65534:65534::/:/bin/sh >>/etc/passwd;";
const AS_NOBODY: &str = "/usr/bin/setpriv --reuid 65534 --regid 65534 --clear-groups";

impl Database {
    fn programs(self) -> Option<String> {
        let (variable, what) = match self {
            Self::Postgres => ("HOSTLER_TEST_POSTGRES", "PostgreSQL"),
            Self::MariaDb => ("HOSTLER_TEST_MARIADB", "MariaDB"),
            Self::Redis => ("HOSTLER_TEST_REDIS", "Redis"),
        };
        let path = part(variable, what)?;
        let folder = if matches!(self, Self::Postgres) { &path } else { path.parent().unwrap_or(Path::new("/")) };
        Some(folder.display().to_string())
    }

    /// The variables by which its official image is known, and its secrets told.
    fn env(self) -> &'static [&'static str] {
        match self {
            Self::Postgres => &["PGDATA=/data", "POSTGRES_USER=owner"],
            Self::MariaDb => &["MARIADB_VERSION=10", "MARIADB_ROOT_PASSWORD=it's secret"],
            Self::Redis => &["REDIS_VERSION=7"],
        }
    }

    /// Makes its store, and becomes the server.
    fn script(self) -> String {
        match self {
            Self::Postgres => format!(
                "{NOBODY} mkdir -p /var/run/postgresql; chown 65534 /data /var/run/postgresql; \
                 [ -e /data/PG_VERSION ] || {AS_NOBODY} initdb -D /data -A trust -U owner -E UTF8 --locale=C --no-sync; \
                 exec {AS_NOBODY} postgres -D /data -c fsync=off -c listen_addresses=127.0.0.1"
            ),
            Self::MariaDb => format!(
                "{NOBODY} chmod 1777 /tmp; mkdir -p /run/mysqld; chown 65534 /data /run/mysqld; \
                 echo \"ALTER USER root@localhost IDENTIFIED BY 'it''s secret';\" >/tmp/first.sql; \
                 {AS_NOBODY} mariadb-install-db --no-defaults --datadir=/data --auth-root-authentication-method=normal \
                     --skip-test-db >/dev/null; \
                 exec {AS_NOBODY} mariadbd --no-defaults --datadir=/data --socket=/run/mysqld/mysqld.sock \
                     --bind-address=127.0.0.1 --init-file=/tmp/first.sql"
            ),
            Self::Redis => "exec redis-server --dir /data --requirepass secret --save ''".to_owned(),
        }
    }
}

impl Spec {
    /// The programs of this machine, to look at.
    pub(crate) fn with_programs(self, path: &str) -> Self {
        self.with(|body| {
            let binds = ["/usr", "/lib", "/lib64"].into_iter().filter(|folder| Path::new(folder).exists());
            let host = body.host_config.get_or_insert_default();
            host.binds.get_or_insert_default().extend(binds.map(|folder| format!("{folder}:{folder}:ro")));
            let path = format!("PATH={path}:/bin:/usr/bin:/usr/sbin");
            body.env.get_or_insert_default().push(path);
        })
    }
}

impl Engine {
    /// A database of this project. `None`, noted as left out, where its programs are not on this machine.
    #[track_caller]
    pub(crate) fn database(&self, database: Database, project: &str) -> Option<Server> {
        let programs = database.programs()?;
        let container = self.run("db", |spec| {
            let spec = spec.compose(project, "db").shell(&database.script()).with_programs(&programs);
            spec.with(|body| {
                body.env.get_or_insert_default().extend(database.env().iter().map(ToString::to_string));
                body.volumes = Some(vec!["/data".to_owned()]);
            })
        });
        let server = Server { container, engine: self.clone(), database };
        wait_until(DEADLINE, "the database answers", || {
            let log = String::from_utf8_lossy(&server.container.logs()).into_owned();
            assert!(server.container.state().running == Some(true), "{log}");
            let ping = if matches!(database, Database::Redis) { "PING" } else { "SELECT 1" };
            server.try_ask(ping).ok()
        });
        Some(server)
    }
}

impl Server {
    /// What the database answers to a query, a command.
    #[track_caller]
    pub(crate) fn ask(&self, query: &str) -> String {
        self.try_ask(query).unwrap_or_else(|error| panic!("{query}: {error}"))
    }

    fn try_ask(&self, query: &str) -> Result<String, String> {
        let script = match self.database {
            Database::Postgres => r#"exec psql -X -A -t -q -v ON_ERROR_STOP=1 -U owner -d postgres -c "$1""#,
            Database::MariaDb => r#"MYSQL_PWD="$MARIADB_ROOT_PASSWORD" exec mariadb -uroot -N -B -e "$1""#,
            Database::Redis => "REDISCLI_AUTH=secret exec redis-cli --raw $1",
        };
        self.engine.execute(&self.container, &["sh", "-c", script, "sh", query])
    }
}

impl Engine {
    /// Runs a program in a container; gives what it wrote, or why it failed.
    pub(crate) fn execute(&self, container: &Container, argv: &[&str]) -> Result<String, String> {
        let config = ExecConfig {
            cmd: Some(argv.iter().map(ToString::to_string).collect()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..ExecConfig::default()
        };
        self.block_on(async {
            let told = |error: bollard::errors::Error| error.to_string();
            let made = self.docker().create_exec(container.id(), config).await.map_err(told)?;
            let StartExecResults::Attached { output, .. } =
                self.docker().start_exec(&made.id, None).await.map_err(told)?
            else {
                return Err("no output".to_owned());
            };
            let pieces: Vec<LogOutput> = output.try_collect().await.map_err(told)?;
            let text: String = pieces.iter().map(ToString::to_string).collect();
            match self.docker().inspect_exec(&made.id).await.map_err(told)?.exit_code {
                Some(0) => Ok(text.trim().to_owned()),
                code => Err(format!("exit status {code:?}: {text}")),
            }
        })
    }
}
