//! Ports whose servers do not bear a question in HTTP.

/// Ports that are never asked, unless the config names them: their servers log, alarm at or act upon a line of HTTP.
const SPARED: &[(u16, &str)] = &[
    (22, "sshd counts it as a bad login attempt (MaxStartups, fail2ban)"),
    (25, "mail servers log and delay senders that talk before the greeting"),
    (53, "a DNS server takes it for a message of 18 kB and waits"),
    (110, "as 25"),
    (111, "rpcbind: not HTTP"),
    (139, "SMB: not HTTP"),
    (143, "as 25"),
    (389, "LDAP: not HTTP"),
    (445, "SMB: not HTTP"),
    (465, "as 25"),
    (587, "as 25"),
    (993, "as 25"),
    (995, "as 25"),
    (1433, "SQL Server logs a failed login"),
    (2375, "Docker's own interface: asked as what it is"),
    (2376, "as 2375"),
    (2379, "etcd: audited"),
    (2380, "etcd's peers: it logs a rejected member"),
    (3306, "MySQL blocks a host after too many broken handshakes (max_connect_errors)"),
    (5432, "PostgreSQL logs an invalid startup packet"),
    (5433, "as 5432"),
    (5672, "RabbitMQ logs a bad header"),
    (6379, "Redis logs a possible attack"),
    (6380, "as 6379"),
    (6443, "Kubernetes: audited"),
    (9042, "Cassandra logs a protocol error"),
    (9092, "Kafka takes it for a request of 1.2 GB and logs it"),
    (9100, "a raw printer port prints it"),
    (9200, "Elasticsearch: audited"),
    (9300, "Elasticsearch's peers log a bad header"),
    (11211, "memcached: not HTTP"),
    (27017, "MongoDB logs a bad message"),
];

/// Whether a port is never asked, on this host or inside a container.
pub fn is_spared(port: u16) -> bool {
    SPARED.iter().any(|(spared, _)| *spared == port)
}
