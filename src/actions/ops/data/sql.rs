//! What the dumps of SQL servers have in common: shell scripts that speak to the server in its own container.

use std::io::Read;

use super::{Bench, Structure, Trouble, digest, pieces, script, told};
use crate::domain::ContainerRef;

/// How one kind of server is spoken to.
pub(super) struct Dialect {
    /// Begins each script: who asks, and with which programs. What is secret stays in the container.
    pub(super) who: &'static str,
    /// Prints the names of all databases, one a line.
    pub(super) databases: &'static str,
    /// Prints the schema of the database `$1`.
    pub(super) schema: &'static str,
    /// Prints the tables of `$1` by which migration tools remember what they did; nothing where there is none.
    pub(super) migrations: &'static str,
    /// Reads a dump.
    pub(super) restore: &'static str,
    /// Takes out of schema and migrations what differs although the structure is the same.
    pub(super) plain: fn(&str) -> String,
}

impl Dialect {
    /// A script with what it begins with.
    pub(super) fn script(&self, body: &str) -> String {
        format!("{}{body}", self.who)
    }

    /// The names of all databases of a server.
    pub(super) async fn databases(&self, bench: &Bench<'_>, container: &ContainerRef) -> Result<Vec<String>, Trouble> {
        let list = told(bench, container, (&self.script(self.databases), &[])).await?;
        Ok(list.lines().map(str::to_owned).collect())
    }

    /// The digest of each database's schema and of its migrations.
    pub(super) async fn structure(&self, bench: &Bench<'_>, container: &ContainerRef) -> Result<Structure, Trouble> {
        let mut structure = Structure::new();
        for database in self.databases(bench, container).await? {
            let mut text = told(bench, container, (&self.script(self.schema), &[&database])).await?;
            text.push_str(&told(bench, container, (&self.script(self.migrations), &[&database])).await?);
            structure.insert(database, digest(&(self.plain)(&text)));
        }
        Ok(structure)
    }

    /// Puts all databases of a dump back.
    pub(super) async fn restore(
        &self,
        bench: &Bench<'_>,
        container: &ContainerRef,
        dump: impl Read,
    ) -> Result<(), Trouble> {
        script(bench, container, (&self.script(self.restore), &[]), pieces(dump), |_| Ok(())).await
    }
}
