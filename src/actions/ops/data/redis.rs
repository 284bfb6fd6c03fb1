//! Redis and Valkey: what is in memory is saved, and the file fetched.

use serde_json::Value;

use super::{Bench, Trouble, script, volume};
use crate::domain::ContainerRef;
use crate::history::Attachment;

/// Saves, and prints the file. The password stands in a variable, or comes in over standard input.
const SAVE: &str = r#"set -eu
cli=$(command -v redis-cli || command -v valkey-cli)
IFS= read -r told || true
word="${REDISCLI_AUTH:-${REDIS_PASSWORD:-${VALKEY_PASSWORD:-$told}}}"
[ -z "$word" ] || export REDISCLI_AUTH="$word"
said=$("$cli" --raw SAVE)
[ "$said" = OK ] || { echo "$said" >&2; exit 1; }
folder=$("$cli" --raw CONFIG GET dir | sed -n 2p)
file=$("$cli" --raw CONFIG GET dbfilename | sed -n 2p)
echo "${folder:-/data}/${file:-dump.rdb}""#;

/// Writes its file down as a tar archive; gives the bytes.
pub(super) async fn dump(bench: &mut Bench<'_>, container: &ContainerRef, to: &mut Attachment) -> Result<u64, Trouble> {
    bench.progress(format!("saving {}", container.name), 0, 0);
    let it = bench.inspected(container).await?;
    let word = password(&it).unwrap_or_default().to_owned();
    let mut file = Vec::new();
    let keep = |piece: &[u8]| {
        file.extend_from_slice(piece);
        Ok(())
    };
    script(bench, container, (SAVE, &[]), std::iter::once(format!("{word}\n").into_bytes()), keep).await?;
    let file = String::from_utf8_lossy(&file).into_owned();
    volume::fetch(bench, container, file.trim(), to).await
}

/// The password among the arguments of a server, which it wipes from its own command line.
fn password(container: &Value) -> Option<&str> {
    let arguments = container.pointer("/Args")?.as_array()?.iter().filter_map(Value::as_str);
    // A shell's script is one argument.
    let mut words = arguments.flat_map(str::split_whitespace);
    words.find(|word| *word == "--requirepass")?;
    words.next().filter(|word| !word.starts_with('$'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_password_is_found_among_the_arguments() {
        let of = |arguments: &[&str]| password(&json!({ "Args": arguments })).map(str::to_owned);
        assert_eq!(of(&["redis-server", "--requirepass", "difyai"]), Some("difyai".to_owned()));
        assert_eq!(of(&["-c", "exec redis-server --requirepass difyai --save ''"]), Some("difyai".to_owned()));
        assert_eq!(of(&["-c", "exec redis-server --requirepass $REDIS_PASSWORD"]), None);
        assert_eq!(of(&["redis-server"]), None);
    }
}
