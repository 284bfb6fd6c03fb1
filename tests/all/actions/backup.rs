//! What an update backs up, and what of it is put back when a new version has migrated the data.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::service::{Service, Version};
use super::{planned, run, steps};
use crate::bed::{self, Database, Server};

/// A service of the same project as a database that answers, with a table `notes` of one row. It reaches the database on
/// loopback, where it is a PostgreSQL server.
fn with(database: Database, fill: &str) -> Option<(Service, Server)> {
    let engine = bed::engine()?;
    let project = Service::project();
    let server = engine.database(database, &project)?;
    server.ask(fill);
    let programs = std::env::var("HOSTLER_TEST_POSTGRES").unwrap_or_else(|_| "/usr/bin".to_owned());
    let service = Service::start_as(|spec, _, _| {
        spec.compose(&project, "app").with_programs(&programs).with(|body| {
            let host = body.host_config.get_or_insert_default();
            host.network_mode = Some(format!("container:{}", server.container.id()));
        })
    })?;
    Some((service, server))
}

fn with_postgres() -> Option<(Service, Server)> {
    with(Database::Postgres, "CREATE TABLE notes (text text); INSERT INTO notes VALUES ('before')")
}

/// What a version of the tests does to a PostgreSQL server on loopback.
const MIGRATES: &str = "psql -h 127.0.0.1 -U owner postgres -v ON_ERROR_STOP=1 \
                        -c \"ALTER TABLE notes ADD COLUMN lang text; INSERT INTO notes VALUES ('after', 'en')\"";
const WRITES: &str = "psql -h 127.0.0.1 -U owner postgres -v ON_ERROR_STOP=1 -c \"INSERT INTO notes VALUES ('after')\"";

/// The files that were kept with a run, by their names.
fn kept(service: &Service, done: &Value) -> Vec<PathBuf> {
    let folder = service.home.state().join("runs").join(done["run"].as_str().unwrap());
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn said(done: &Value) -> String {
    done["lines"].to_string()
}

#[test]
fn settings_databases_and_volumes_are_backed_up_first() {
    let Some((service, server)) = with_postgres() else { return };
    service.publish("2", Version::Good);
    let (name, db) = (service.container.name(), server.container.name());
    let plan = planned(&service.home, &["container.update", name]);
    let titles = steps(&plan);
    let place = |word: &str| {
        let found = titles.iter().position(|title| title.contains(word));
        found.unwrap_or_else(|| panic!("{word} is not in {titles:?}"))
    };
    assert!(place("make ") < place(&format!("dump {db} (PostgreSQL)")), "{titles:?}");
    assert!(place("dump ") < place("archive /data") && place("archive ") < place("stop the old"), "{titles:?}");

    let (code, done) = run(&service.home, &["container.update", name]);
    assert_eq!((code, service.version().as_str()), (0, "2"), "{done}");
    let files = kept(&service, &done);
    let find = |ending: &str| files.iter().find(|file| file.to_str().unwrap().ends_with(ending));
    let dump = fs::read_to_string(find(&format!("{db}.sql")).unwrap()).unwrap();
    assert!(dump.contains("CREATE TABLE public.notes") && dump.contains("before"), "{dump}");
    assert!(find(".tar").is_some(), "{files:?}");
    let inspected = files.iter().find(|file| file.to_str().unwrap().contains(&format!("{name}.json"))).unwrap();
    let inspected: Value = serde_json::from_slice(&fs::read(inspected).unwrap()).unwrap();
    assert_eq!(inspected["Id"], service.container.id());
    assert!(!files.iter().any(|file| file.extension().is_some_and(|end| end == "part")), "{files:?}");
}

#[test]
fn a_database_that_was_migrated_is_put_back() {
    let Some((service, server)) = with_postgres() else { return };
    service.publish("2", Version::Migrates(MIGRATES));
    let (code, done) = run(&service.home, &["container.update", service.container.name()]);
    assert_eq!((code, done["outcome"].as_str()), (1, Some("rolled-back")), "{done}");
    assert_eq!(server.ask("SELECT * FROM notes"), "before", "{done}");
    assert!(said(&done).contains("was migrated since, and is again as it was before"), "{done}");
    assert_eq!(service.now().id.as_deref(), Some(service.container.id()));
    assert!(service.runs());
}

#[test]
fn what_was_written_stays_where_nothing_was_migrated() {
    let Some((service, server)) = with_postgres() else { return };
    service.publish("2", Version::Migrates(WRITES));
    let (_, done) = run(&service.home, &["container.update", service.container.name()]);
    assert_eq!(done["outcome"], "rolled-back", "{done}");
    assert_eq!(server.ask("SELECT text FROM notes ORDER BY 1"), "after\nbefore", "{done}");
}

#[test]
fn without_a_backup_a_migrated_database_is_asked_about() {
    let Some((service, server)) = with_postgres() else { return };
    service.publish("2", Version::Migrates(MIGRATES));
    let name = service.container.name();
    let (code, done) = run(&service.home, &["container.update", name, "--without", "backup"]);
    assert_eq!((code, done["outcome"].as_str()), (1, Some("failed")), "{done}");
    let text = done["text"].as_str().unwrap();
    assert!(text.contains("has migrated postgres of") && text.contains("hostler undo"), "{text}");
    assert!(said(&done).contains("left out: dump"), "{done}");
    assert_eq!(service.version(), "2", "the new version stays");
    assert!(service.runs());
    assert_eq!(server.ask("SELECT count(*) FROM notes"), "2");

    let (code, back) = service.home.json(&["undo", done["run"].as_str().unwrap(), "--json"]);
    assert_eq!((code, back["outcome"].as_str()), (0, Some("rolled-back")), "{back}");
    assert_eq!(service.now().id.as_deref(), Some(service.container.id()));
    assert!(service.runs());
    assert_eq!(server.ask("SELECT count(*) FROM notes"), "2", "what was asked about stays");
}

#[test]
fn an_undo_later_does_not_throw_away_what_was_written_since() {
    let Some((service, server)) = with_postgres() else { return };
    service.publish("2", Version::Good);
    let (_, done) = run(&service.home, &["container.update", service.container.name()]);
    assert_eq!(done["outcome"], "succeeded", "{done}");
    server.ask("ALTER TABLE notes ADD COLUMN lang text; INSERT INTO notes VALUES ('weeks of work', 'en')");
    let (_, back) = service.home.json(&["undo", done["run"].as_str().unwrap(), "--json"]);
    assert_eq!(back["outcome"], "rolled-back", "{back}");
    assert!(said(&back).contains("it stays so, and is as it was before in"), "{back}");
    assert_eq!(server.ask("SELECT count(*) FROM notes"), "2");
}

/// Makes a SQLite file of the service's volume, or changes it, as an application would: with a write-ahead log.
const SQLITE: &str = "import sqlite3, sys; db = sqlite3.connect('/data/app.db'); \
                      db.execute('PRAGMA journal_mode=WAL'); db.executescript(sys.argv[1]); db.commit()";

#[test]
fn a_migrated_sqlite_file_is_put_back_with_its_volume() {
    let Some(service) = Service::start_as(|spec, _, _| spec.with_programs("/usr/bin")) else { return };
    let sqlite = |script: &str| {
        let argv = ["python3", "-c", SQLITE, script];
        service.engine.execute(&service.container, &argv).unwrap_or_else(|error| panic!("{script}: {error}"))
    };
    sqlite("CREATE TABLE notes (text); INSERT INTO notes VALUES ('before')");
    service.publish(
        "2",
        Version::Migrates(
            "python3 -c \"import sqlite3, os; db = sqlite3.connect('/data/app.db'); \
             db.execute('ALTER TABLE notes ADD COLUMN lang'); db.commit(); os._exit(0)\"",
        ),
    );
    let (_, done) = run(&service.home, &["container.update", service.container.name()]);
    assert_eq!(done["outcome"], "rolled-back", "{done}");
    assert!(said(&done).contains("app.db of"), "{done}");
    let show = "import sqlite3; db = sqlite3.connect('/data/app.db'); \
                print(db.execute('PRAGMA integrity_check').fetchone()[0], db.execute('SELECT * FROM notes').fetchall())";
    let shown = service.engine.execute(&service.container, &["python3", "-c", show]);
    assert_eq!(shown.unwrap(), "ok [('before',)]", "{done}");
}

#[test]
fn a_large_volume_is_archived_when_it_is_asked_for() {
    let Some(service) = Service::start() else { return };
    fs::write(service.home.config(), format!("{}archive_gib = 0\n", super::service::CONFIG)).unwrap();
    service.engine.execute(&service.container, &["sh", "-c", "echo much >/data/file"]).unwrap();
    service.publish("2", Version::Good);
    let plan = planned(&service.home, &["container.update", service.container.name()]);
    assert!(!steps(&plan).iter().any(|title| title.contains("archive")), "{plan}");
    let warnings = plan["plan"]["warnings"].to_string();
    assert!(warnings.contains("is not backed up unless you add `backup "), "{warnings}");
    let step = plan["plan"]["steps"].as_array().unwrap().iter().find(|step| step["op"]["op"] == "back-up").unwrap();
    let plan =
        planned(&service.home, &["container.update", service.container.name(), "--with", step["id"].as_str().unwrap()]);
    assert!(steps(&plan).iter().any(|title| title.contains("archive /data")), "{plan}");
}

#[test]
fn mariadb_is_dumped_and_put_back() {
    let Some((service, server)) = with(
        Database::MariaDb,
        "CREATE DATABASE app; CREATE TABLE app.notes (id INT AUTO_INCREMENT PRIMARY KEY, text TEXT); \
         INSERT INTO app.notes (text) VALUES ('before')",
    ) else {
        return;
    };
    service.publish(
        "2",
        Version::Migrates(
            "MYSQL_PWD=\"it's secret\" mariadb -h 127.0.0.1 -uroot -e \
             \"ALTER TABLE app.notes ADD COLUMN lang TEXT; INSERT INTO app.notes (text) VALUES ('after')\"",
        ),
    );
    let (code, done) = run(&service.home, &["container.update", service.container.name()]);
    assert_eq!((code, done["outcome"].as_str()), (1, Some("rolled-back")), "{done}");
    assert!(said(&done).contains("app of"), "{done}");
    assert_eq!(server.ask("SELECT text FROM app.notes"), "before", "{done}");
}

#[test]
fn redis_is_saved() {
    let Some((service, _server)) = with(Database::Redis, "SET notes before") else { return };
    service.publish("2", Version::Good);
    let (code, done) = run(&service.home, &["container.update", service.container.name()]);
    assert_eq!(code, 0, "{done}");
    let files = kept(&service, &done);
    let saved = files.iter().find(|file| file.to_str().unwrap().ends_with(".rdb.tar")).unwrap();
    let saved = fs::read(saved).unwrap();
    assert!(saved.windows(6).any(|bytes| bytes == b"before"), "the key is in the file");
}
