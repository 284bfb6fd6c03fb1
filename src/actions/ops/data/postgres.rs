//! PostgreSQL: all databases of a server as one script of `psql`.

use super::sql::Dialect;
use super::{Bench, Trouble, script};
use crate::domain::ContainerRef;
use crate::history::Attachment;

pub(super) const DIALECT: Dialect =
    Dialect { who: WHO, databases: DATABASES, schema: SCHEMA, migrations: MIGRATIONS, restore: RESTORE, plain };

/// Who asks: the names are those of the official image and of Bitnami's. What is secret stays in the container.
const WHO: &str = r#"set -eu
export LC_ALL=C PGUSER="${POSTGRES_USER:-${POSTGRESQL_USERNAME:-postgres}}"
file="${POSTGRES_PASSWORD_FILE:-${POSTGRESQL_PASSWORD_FILE:-}}"
if [ -n "$file" ]; then PGPASSWORD=$(cat "$file"); else PGPASSWORD="${POSTGRES_PASSWORD:-${POSTGRESQL_PASSWORD:-}}"; fi
export PGPASSWORD
"#;

const DATABASES: &str = r"exec psql -XAtq -d template1 \
    -c 'SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1'";

const DUMP: &str = r#"exec pg_dump --create --clean --if-exists --lock-wait-timeout=60s -d "$1""#;

const RESTORE: &str = "exec psql -X -q -v ON_ERROR_STOP=1 -d template1 -f -";

const SCHEMA: &str = r#"exec pg_dump --schema-only --no-owner --no-acl --lock-wait-timeout=60s -d "$1""#;

/// The tables by which TypeORM, Knex, Prisma, Django, Alembic, Flyway and Liquibase remember what they migrated. A database
/// without such a table is no trouble.
const MIGRATIONS: &str = r#"complaint=$(pg_dump --data-only --no-owner --lock-wait-timeout=60s -d "$1" \
    -t '*.*migrat*' -t '*.*alembic_version*' -t '*.*schema_version*' -t '*.*flyway*' -t '*.*databasechangelog*' \
    2>&1 >&3) 3>&1 || case $complaint in *'no matching tables'*) ;; *) echo "$complaint" >&2; exit 1 ;; esac"#;

/// Writes all databases down; gives the bytes.
pub(super) async fn dump(bench: &mut Bench<'_>, container: &ContainerRef, to: &mut Attachment) -> Result<u64, Trouble> {
    let mut bytes = 0;
    for database in DIALECT.databases(bench, container).await? {
        bench.progress(format!("dumping {database}"), 0, 0);
        let mut keep = |piece: &[u8]| {
            bytes += piece.len() as u64;
            to.write(piece).map_err(|error| super::unkept(&error))
        };
        keep(cleared(&database).as_bytes())?;
        script(bench, container, (&DIALECT.script(DUMP), &[&database]), std::iter::empty(), keep).await?;
    }
    Ok(bytes)
}

/// The commands before a database is dropped: nobody may stay connected to it, or come back meanwhile.
fn cleared(database: &str) -> String {
    let name = database.replace('\'', "''");
    format!(
        "\\connect template1\n\
         UPDATE pg_catalog.pg_database SET datallowconn = false WHERE datname = '{name}';\n\
         SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE datname = '{name}';\n"
    )
}

/// A schema without remarks, and without the dump's key, which differs each time from 2025 on (CVE-2025-8714).
fn plain(text: &str) -> String {
    let says_something = |line: &&str| !line.starts_with("--") && !line.contains("restrict ");
    text.lines().filter(says_something).collect::<Vec<_>>().join("\n")
}
