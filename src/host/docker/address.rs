//! Where a container of this host's engine is reached without a published port.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::Value;

use super::{DockerClient, EngineError};
use crate::domain::ContainerId;

impl DockerClient {
    /// The address at which a container of an engine on this host is reached. `None` if it has none, or there is no such
    /// container (any more).
    ///
    /// # Errors
    /// When the engine cannot be asked, or does not answer in time.
    pub async fn address(&self, id: &ContainerId) -> Result<Option<IpAddr>, EngineError> {
        Ok(self.inspect_raw(&id.0).await?.and_then(|it| address_in(&it)))
    }
}

/// The address in what the engine says of a container: the first of its networks; loopback where it shares this host's.
pub fn address_in(inspected: &Value) -> Option<IpAddr> {
    if inspected.pointer("/HostConfig/NetworkMode").and_then(Value::as_str) == Some("host") {
        return Some(Ipv4Addr::LOCALHOST.into());
    }
    let networks = inspected.pointer("/NetworkSettings/Networks").and_then(Value::as_object);
    let address = |endpoint: &Value| endpoint.get("IPAddress")?.as_str()?.parse().ok();
    networks.into_iter().flatten().find_map(|(_, endpoint)| address(endpoint))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_network_with_an_address_counts() {
        let networks = json!({"NetworkSettings": {"Networks": {
            "a": {"IPAddress": ""}, "b": {"IPAddress": "172.18.0.3"}, "c": {"IPAddress": "172.19.0.3"},
        }}});
        assert_eq!(address_in(&networks), Some([172, 18, 0, 3].into()));
        assert_eq!(address_in(&json!({"NetworkSettings": {"Networks": {"none": {"IPAddress": ""}}}})), None);
        assert_eq!(address_in(&json!({})), None);
        let host = json!({"HostConfig": {"NetworkMode": "host"}, "NetworkSettings": {"Networks": {"host": {"IPAddress": ""}}}});
        assert_eq!(address_in(&host), Some([127, 0, 0, 1].into()));
    }
}
