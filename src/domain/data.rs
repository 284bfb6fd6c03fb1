//! Where the data lies that a new version of a program may change: databases and volumes.

use serde::{Deserialize, Serialize};

use super::ContainerRef;

/// A database that knows how to dump itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
pub enum DatabaseKind {
    /// PostgreSQL, and what is built on it.
    #[strum(serialize = "PostgreSQL")]
    Postgres,
    /// MySQL and MariaDB.
    #[strum(serialize = "MySQL")]
    Mysql,
    /// Redis and Valkey.
    Redis,
}

impl DatabaseKind {
    /// The database that an image holds, by the repository's last part, else by a variable that the official images set (the
    /// images `postgres`, `mysql`, `mariadb`, `redis` and `valkey/valkey` of Docker Hub); `None` for anything else. `env` are
    /// entries `NAME=value`.
    pub fn of(image: &str, env: &[&str]) -> Option<Self> {
        let repository = image.split(['@', ' ']).next().unwrap_or_default();
        let last = repository.rsplit('/').next().unwrap_or_default();
        let name = last.split(':').next().unwrap_or_default();
        let set = |variables: &[&str]| {
            env.iter().any(|entry| entry.split_once('=').is_some_and(|(name, _)| variables.contains(&name)))
        };
        match name {
            "postgres" | "postgresql" | "pgvector" | "postgis" | "timescaledb" | "timescaledb-ha" => {
                Some(Self::Postgres)
            }
            "mysql" | "mysql-server" | "mariadb" | "percona" | "percona-server" => Some(Self::Mysql),
            "redis" | "valkey" | "redis-stack-server" | "redis-stack" => Some(Self::Redis),
            _ if set(&["PGDATA", "PG_MAJOR"]) => Some(Self::Postgres),
            _ if set(&["MYSQL_MAJOR", "MARIADB_VERSION"]) => Some(Self::Mysql),
            _ if set(&["REDIS_VERSION", "VALKEY_VERSION"]) => Some(Self::Redis),
            _ => None,
        }
    }
}

/// One place where data lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "data", rename_all = "kebab-case")]
pub enum DataPlace {
    /// All databases of a server in a container that runs.
    Database {
        /// The server's container.
        container: ContainerRef,
        /// What it is.
        kind: DatabaseKind,
    },
    /// Everything below a folder of a container at which a volume is mounted.
    Volume {
        /// The volume.
        volume: String,
        /// One of the containers that mount it, running or not.
        container: ContainerRef,
        /// Where it is mounted there, absolute.
        path: String,
        /// Containers that are stopped before it is archived, because they are replaced afterwards.
        stopped: Vec<ContainerRef>,
    },
}

impl DataPlace {
    /// How it is called: the container of a database, the name of a volume.
    pub fn name(&self) -> &str {
        match self {
            Self::Database { container, .. } => &container.name,
            Self::Volume { volume, .. } => volume,
        }
    }

    /// The name of the file that holds its backup.
    pub fn file(&self) -> String {
        match self {
            Self::Database { container, kind: DatabaseKind::Redis } => format!("{}.rdb.tar", container.name),
            Self::Database { container, .. } => format!("{}.sql", container.name),
            Self::Volume { volume, .. } => format!("{volume}.tar"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_known_by_its_image() {
        let of = |image: &str| DatabaseKind::of(image, &[]);
        assert_eq!(of("postgres:16-alpine"), Some(DatabaseKind::Postgres));
        assert_eq!(of("127.0.0.1:5000/bed/pgvector:pg16"), Some(DatabaseKind::Postgres));
        assert_eq!(of("mariadb@sha256:00"), Some(DatabaseKind::Mysql));
        assert_eq!(of("docker.io/valkey/valkey"), Some(DatabaseKind::Redis));
        assert_eq!(of("prom/postgres-exporter:v1"), None);
        assert_eq!(of("dpage/pgadmin4"), None);
        assert_eq!(DatabaseKind::of("own/db:1", &["PATH=/", "PGDATA=/data"]), Some(DatabaseKind::Postgres));
    }
}
