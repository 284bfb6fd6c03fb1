//! MySQL and MariaDB: all databases of a server as one script of its client.

use super::sql::Dialect;
use super::{Bench, Trouble, script};
use crate::domain::ContainerRef;
use crate::history::Attachment;

pub(super) const DIALECT: Dialect = Dialect {
    who: WHO,
    databases: DATABASES,
    schema: SCHEMA,
    migrations: MIGRATIONS,
    restore: RESTORE,
    plain: without_counters,
};

/// Who asks, as the official images have it, and with which of the programs. What is secret stays in the container.
const WHO: &str = r#"set -eu
file="${MYSQL_ROOT_PASSWORD_FILE:-${MARIADB_ROOT_PASSWORD_FILE:-}}"
if [ -n "$file" ]; then MYSQL_PWD=$(cat "$file"); else MYSQL_PWD="${MYSQL_ROOT_PASSWORD:-${MARIADB_ROOT_PASSWORD:-}}"; fi
export LC_ALL=C MYSQL_PWD
client=$(command -v mariadb || command -v mysql)
dump=$(command -v mariadb-dump || command -v mysqldump)
"#;

const DATABASES: &str = r#"exec "$client" -uroot -N -B -e "SELECT schema_name FROM information_schema.schemata
    WHERE schema_name NOT IN ('information_schema', 'performance_schema', 'mysql', 'sys') ORDER BY 1""#;

const DUMP: &str = r#"exec "$dump" -uroot --single-transaction --routines --events --triggers --add-drop-database \
    --databases "$@""#;

const RESTORE: &str = r#"exec "$client" -uroot"#;

const SCHEMA: &str = r#"exec "$dump" -uroot --no-data --skip-comments --routines --events --triggers "$1""#;

/// The tables by which migration tools remember what they did.
const MIGRATIONS: &str = r#"tables=$("$client" -uroot -N -B -e "SELECT table_name FROM information_schema.tables
    WHERE table_schema = '$1' AND (table_name LIKE '%migrat%' OR table_name LIKE '%alembic_version%'
        OR table_name LIKE '%schema_version%' OR table_name LIKE '%flyway%' OR table_name LIKE '%databasechangelog%')")
[ -z "$tables" ] || exec "$dump" -uroot --single-transaction --no-create-info --skip-comments "$1" $tables"#;

/// Writes all databases down; gives the bytes.
pub(super) async fn dump(bench: &mut Bench<'_>, container: &ContainerRef, to: &mut Attachment) -> Result<u64, Trouble> {
    let databases = DIALECT.databases(bench, container).await?;
    let names: Vec<&str> = databases.iter().map(String::as_str).collect();
    if names.is_empty() {
        return Ok(0);
    }
    let mut bytes = 0;
    let keep = |piece: &[u8]| {
        bytes += piece.len() as u64;
        to.write(piece).map_err(|error| super::unkept(&error))
    };
    bench.progress(format!("dumping {}", databases.join(", ")), 0, 0);
    script(bench, container, (&DIALECT.script(DUMP), &names), std::iter::empty(), keep).await?;
    Ok(bytes)
}

/// The text without the numbers that the next rows get: each row changes them.
fn without_counters(text: &str) -> String {
    const COUNTER: &str = " AUTO_INCREMENT=";
    let mut pieces = text.split(COUNTER);
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    pieces.for_each(|piece| plain.push_str(piece.trim_start_matches(|digit: char| digit.is_ascii_digit())));
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_more_is_no_migration() {
        let table = "CREATE TABLE `t` (\n) ENGINE=InnoDB AUTO_INCREMENT=42 DEFAULT CHARSET=utf8mb4;\n";
        assert_eq!(without_counters(table), "CREATE TABLE `t` (\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;\n");
    }
}
