//! One line of a file of the machine: looked at, the whole file kept with the run, and the line put in its place.

use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::{Bench, Done, Trouble, unkept};
use crate::actions::{Desk, hex};
use crate::domain::ContainerRef;
use crate::host::edit;

/// Puts the line `to` in the place of the line `from`.
pub(super) async fn line(
    bench: &mut Bench<'_>,
    path: &str,
    line: usize,
    from: &str,
    to: &str,
) -> Result<Done, Trouble> {
    let failed = |error: std::io::Error| Trouble(format!("{path} cannot be edited: {error}"));
    let (fs, place) = (bench.desk.ports.fs.clone(), Path::new(path).to_owned());
    let old = bench.desk.blocking(move || edit::whole(&fs, &place)).await?.map_err(failed)?;
    let new = replaced(&old, line, from, to).map_err(|why| Trouble(format!("{path} was changed: {why}")))?;
    let Some(new) = new else { return Ok(Done::default()) };
    let kept = keep(bench, path, &old)?;
    let (fs, place) = (bench.desk.ports.fs.clone(), Path::new(path).to_owned());
    bench.desk.blocking(move || edit::replace(&fs, &place, &new)).await?.map_err(failed)?;
    Ok(Done::saying(format!("{path} as it was is kept in {kept}")))
}

/// Puts a whole file in its place, or removes it, where it is as it was when that was planned.
pub(super) async fn put(desk: &Desk, path: &str, from: Option<&[u8]>, to: Option<&[u8]>) -> Result<Done, Trouble> {
    let (fs, place) = (desk.ports.fs.clone(), Path::new(path).to_owned());
    let (from, to) = (from.map(<[u8]>::to_vec), to.map(<[u8]>::to_vec));
    let work = move || {
        let now = match edit::whole(&fs, &place) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        match (&to, now.is_some()) {
            _ if to == now => Ok(()),
            _ if from != now => Err(std::io::Error::other("it is another one than when this was planned")),
            (Some(bytes), true) => edit::replace(&fs, &place, bytes),
            (Some(bytes), false) => edit::create(&fs, &place, bytes),
            (None, _) => edit::remove(&fs, &place),
        }
    };
    desk.blocking(work).await?.map_err(|error| Trouble(format!("{path}: {error}")))?;
    Ok(Done::default())
}

/// Makes a folder that a group shares.
pub(super) async fn share(desk: &Desk, path: &str, group: &str) -> Result<Done, Trouble> {
    let (fs, place, of) = (desk.ports.fs.clone(), Path::new(path).to_owned(), group.to_owned());
    let made = desk.blocking(move || edit::share(&fs, &place, &of)).await?;
    made.map_err(|error| Trouble(format!("{path}: {error}")))?;
    Ok(Done::default())
}

/// Keeps copies of files, and what the engine says of containers. A file that is gone is told, and is no failure.
pub(super) async fn keep_files(
    bench: &mut Bench<'_>,
    files: &[String],
    containers: &[ContainerRef],
) -> Result<Done, Trouble> {
    for path in files {
        let (fs, place) = (bench.desk.ports.fs.clone(), Path::new(path).to_owned());
        match bench.desk.blocking(move || edit::whole(&fs, &place)).await? {
            Ok(bytes) => drop(keep(bench, path, &bytes)?),
            Err(error) => bench.say(format!("{path} is not kept: {error}")),
        }
    }
    for container in containers {
        let it = bench.inspected(container).await?;
        let bytes = serde_json::to_vec_pretty(&it).map_err(|error| Trouble(error.to_string()))?;
        keep(bench, &format!("{}.json", container.name), &bytes)?;
    }
    Ok(Done::default())
}

/// Keeps the whole file beside the run's, and says where. What it holds is in the name: no copy takes another one's place.
fn keep(bench: &Bench<'_>, path: &str, bytes: &[u8]) -> Result<String, Trouble> {
    let mark = hex(&Sha256::digest(bytes)[..4]);
    let name = Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or("file");
    let name = format!("{}.{mark}", name.trim_start_matches('.'));
    let mut attached = bench.attach(&name)?;
    attached.write(bytes).and_then(|()| attached.sync()).map_err(|error| unkept(&error))?;
    Ok(attached.path().display().to_string())
}

/// The bytes with the line, counted from 1, changed from `from` to `to`; `None` where it says `to` already. The line's end
/// stays as it is.
///
/// # Errors
/// What the line is instead, as a clause.
pub(in crate::actions) fn replaced(bytes: &[u8], line: usize, from: &str, to: &str) -> Result<Option<Vec<u8>>, String> {
    let mut start = 0;
    for _ in 1..line {
        let end = bytes[start..].iter().position(|byte| *byte == b'\n');
        start += 1 + end.ok_or_else(|| format!("it has no line {line} any more"))?;
    }
    let rest = &bytes[start..];
    let written = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let written = written.strip_suffix(b"\r").unwrap_or(written);
    if written == to.as_bytes() {
        return Ok(None);
    }
    if written != from.as_bytes() {
        return Err(format!("its line {line} is neither `{}` nor `{}`", from.trim(), to.trim()));
    }
    Ok(Some([&bytes[..start], to.as_bytes(), &rest[written.len()..]].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_changes_and_its_end_stays() {
        let changed = |text: &str, line| {
            replaced(text.as_bytes(), line, "b", "c").map(|new| new.map(|new| String::from_utf8(new).unwrap()))
        };
        assert_eq!(changed("a\nb\nb\n", 2), Ok(Some("a\nc\nb\n".to_owned())));
        assert_eq!(changed("a\r\nb\r\n", 2), Ok(Some("a\r\nc\r\n".to_owned())));
        assert_eq!(changed("b", 1), Ok(Some("c".to_owned())));
        assert_eq!(changed("c\nb", 1), Ok(None));
        assert!(changed("a\nb", 1).unwrap_err().contains("neither"));
        assert!(changed("b\n", 3).unwrap_err().contains("no line 3"));
    }
}
