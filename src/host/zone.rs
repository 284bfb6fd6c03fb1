//! The time zone in which days begin and times are shown.

use std::io::{self, Read as _};
use std::path::{Component, Path};

use jiff::tz::TimeZone;

use super::RootedFs;

/// Where the zones lie, and the link to this machine's.
const ZONES: &str = "/usr/share/zoneinfo";
const LOCAL: &str = "/etc/localtime";

/// The most that is read of one zone, bytes: the largest has about 4 KiB.
const MAX_BYTES: u64 = 64 << 10;

/// The zone that `TZ` names, else this machine's, else UTC.
///
/// One file is read where that tells it. [`TimeZone::system`] would look through every zone that there is before it reads
/// that file, which takes longer than all the rest of the first frame; it is asked where `TZ` says more than a name.
#[expect(clippy::disallowed_methods, reason = "what one file does not tell")]
pub fn time_zone() -> TimeZone {
    let named = std::env::var("TZ").ok().filter(|name| !name.is_empty());
    in_file(&RootedFs::new("/"), named.as_deref()).unwrap_or_else(TimeZone::system)
}

/// The zone of a name, or of the machine; `None` where one file does not tell it.
fn in_file(fs: &RootedFs, name: Option<&str>) -> Option<TimeZone> {
    let Some(name) = name else {
        let data = read(fs, Path::new(LOCAL)).ok()?;
        // `../usr/share/zoneinfo/Europe/Berlin`
        let link = fs.read_link(LOCAL).unwrap_or_default();
        let name = link.to_str().and_then(|link| link.split_once("zoneinfo/")).map_or("Local", |(_, name)| name);
        return TimeZone::tzif(name, &data).ok();
    };
    let is_plain = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    let path = Path::new(ZONES).join(name);
    is_plain.then(|| read(fs, &path).ok()).flatten().and_then(|data| TimeZone::tzif(name, &data).ok())
}

fn read(fs: &RootedFs, path: &Path) -> io::Result<Vec<u8>> {
    let mut data = Vec::new();
    fs.open(path)?.take(MAX_BYTES).read_to_end(&mut data)?;
    Ok(data)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests write a tree of their own")]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// Two hours east of Greenwich, always: a zone file of version 1, as RFC 9636 §3 has it.
    fn two_hours_east() -> Vec<u8> {
        let mut data = b"TZif".to_vec();
        data.extend([0; 16]);
        // How many there are of: UT and standard indicators, leap seconds, transitions, types, bytes of designations.
        for count in [0_u32, 0, 0, 0, 1, 5] {
            data.extend(count.to_be_bytes());
        }
        data.extend(7200_i32.to_be_bytes());
        data.extend([0, 0]);
        data.extend(b"EAST\0");
        data
    }

    fn offset(zone: &TimeZone) -> i32 {
        zone.to_offset(jiff::Timestamp::UNIX_EPOCH).seconds()
    }

    #[test]
    fn one_file_tells_the_zone_and_its_name() {
        let root = tempfile::tempdir().unwrap();
        let zones = root.path().join("usr/share/zoneinfo/Test");
        fs::create_dir_all(&zones).unwrap();
        fs::create_dir_all(root.path().join("etc")).unwrap();
        fs::write(zones.join("East"), two_hours_east()).unwrap();
        let rooted = RootedFs::new(root.path());
        assert!(in_file(&rooted, None).is_none());
        assert_eq!(offset(&in_file(&rooted, Some("Test/East")).unwrap()), 7200);
        for other in ["Test/West", "../zoneinfo/Test/East", "/etc/passwd", ":Test/East", "EST5EDT,M3.2.0,M11.1.0"] {
            assert!(in_file(&rooted, Some(other)).is_none(), "{other}");
        }
        symlink("../usr/share/zoneinfo/Test/East", root.path().join("etc/localtime")).unwrap();
        let zone = in_file(&rooted, None).unwrap();
        assert_eq!((offset(&zone), zone.iana_name()), (7200, Some("Test/East")));
        fs::remove_file(root.path().join("etc/localtime")).unwrap();
        fs::write(root.path().join("etc/localtime"), two_hours_east()).unwrap();
        assert_eq!(offset(&in_file(&rooted, None).unwrap()), 7200);
        fs::write(root.path().join("etc/localtime"), "no zone").unwrap();
        assert!(in_file(&rooted, None).is_none());
    }
}
