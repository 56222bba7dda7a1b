// SPDX-License-Identifier: Apache-2.0

//! What the hub's owner does: makes the tables, and lets stations and people in.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use postgres_protocol::password::scram_sha_256;
use refinery::{Migration, Runner};
use tokio_postgres::{Client, GenericClient};
use zeroize::Zeroizing;

use super::connection::Connection;
use super::{Config, Hub, HubError, VERSION};

/// The migrations, in their order. One that was released is never changed.
const MIGRATIONS: &[(&str, &str)] = &[("V1__hub", include_str!("hub.sql"))];

/// The oldest version of PostgreSQL that works: views with the rights of the one who asks (`security_invoker`).
const OLDEST: i32 = 150_000;

/// A migration of large tables takes its time.
const MIGRATION_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

const LOCK: &str = "SELECT pg_advisory_lock(hashtextextended('hub init', 0))";
const ENROLL: &str = "INSERT INTO hub.enrolled (role, key) VALUES ($1, $2) ON CONFLICT DO NOTHING";
const ENROLLED: &str = "SELECT role FROM hub.enrolled WHERE key = $1";
const ROLE: &str = "SELECT rolsuper OR rolbypassrls OR pg_has_role(rolname, current_user, 'MEMBER') \
    FROM pg_roles WHERE rolname = $1";

/// What a role may do at the hub. Each may read all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Push ledgers of this station key.
    Station([u8; 32]),
    /// Read.
    Reader,
    /// Say which parts a verifier was given.
    Exporter,
}

/// What enrolling has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enrolled {
    /// The role is new. Else it was there, and has more rights now.
    pub is_new: bool,
}

impl Kind {
    const fn group(self) -> &'static str {
        match self {
            Self::Station(_) => "hub_station",
            Self::Reader => "hub_reader",
            Self::Exporter => "hub_exporter",
        }
    }
}

impl Hub {
    /// Makes the tables of the hub, or brings them up to date, and gives how many steps that took: 0 where nothing was
    /// to be done. The role has to own the database, and to have the right to make roles.
    ///
    /// # Errors
    /// The database cannot be reached, or its owner is another one, or the tables cannot be made: then nothing is.
    pub fn init(config: &Config) -> Result<usize, HubError> {
        let mut config = config.clone();
        config.timeout = MIGRATION_TIMEOUT;
        let config = &config;
        let mut connection = Connection::to_database(config)?;
        connection.call(config, async |client| migrate(client, config).await)
    }

    /// Lets a role in, and makes it where it is missing. With `password_file`, its password is a new random one, which
    /// is written into this new file; the server is given only what checks it. Else the role logs in as the server's
    /// administrator has arranged.
    ///
    /// # Errors
    /// The name cannot be that of a role of the hub, the key is another role's, the file exists, or the caller is not
    /// the owner. Nothing was changed then.
    pub fn enroll(
        &mut self,
        name: &str,
        kind: Kind,
        password_file: Option<&Path>,
    ) -> Result<Enrolled, HubError> {
        check_name(name)?;
        let config = self.config.clone();
        let secret = password_file.map(new_password).transpose()?;
        let verifier = secret.as_ref().map(|secret| scram_sha_256(secret));
        let result = self
            .call(async |client| enroll(client, &config, name, kind, verifier.as_deref()).await);
        if let (Err(_), Some(file)) = (&result, password_file) {
            let _ = fs::remove_file(file);
        }
        result
    }
}

async fn migrate(client: &mut Client, config: &Config) -> Result<usize, HubError> {
    let error = |error| HubError::of(config, error);
    let version: String =
        client.query_one("SHOW server_version_num", &[]).await.map_err(error)?.get(0);
    if version.parse().is_ok_and(|version: i32| version < OLDEST) {
        let why = "the server has a PostgreSQL before 15. Install a later one".to_owned();
        return Err(HubError::Migration(config.to_string(), why));
    }
    client.query(LOCK, &[]).await.map_err(error)?;
    client.batch_execute("CREATE SCHEMA IF NOT EXISTS hub").await.map_err(error)?;
    let failed = |error: refinery::Error| {
        // Its own text has only which migration it was.
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        HubError::Migration(config.to_string(), cause.unwrap_or_else(|| error.to_string()))
    };
    let migrations: Result<Vec<_>, _> =
        MIGRATIONS.iter().map(|(name, sql)| Migration::unapplied(name, sql)).collect();
    // It finds its own table by the search path, in the schema hub.
    let report =
        Runner::new(&migrations.map_err(failed)?).run_async(client).await.map_err(failed)?;
    client
        .batch_execute(
            "GRANT SELECT ON hub.refinery_schema_history TO hub_station, hub_reader, hub_exporter",
        )
        .await
        .map_err(error)?;
    debug_assert_eq!(MIGRATIONS.len(), VERSION as usize);
    Ok(report.applied_migrations().len())
}

async fn enroll(
    client: &mut Client,
    config: &Config,
    name: &str,
    kind: Kind,
    verifier: Option<&str>,
) -> Result<Enrolled, HubError> {
    let error = |error| HubError::of(config, error);
    let transaction = client.transaction().await.map_err(error)?;
    let role = transaction.query_opt(ROLE, &[&name]).await.map_err(error)?;
    if role.as_ref().is_some_and(|row| row.get(0)) {
        return Err(HubError::Enrol(format!(
            "the role {name} may do anything at the hub, so no rule would hold for it. Enroll one of its own"
        )));
    }
    // Names have no quotes, and neither has what checks a password.
    let password = verifier.map_or_else(String::new, |verifier| format!(" PASSWORD '{verifier}'"));
    let mut statements = format!("GRANT {} TO \"{name}\";", kind.group());
    if role.is_none() {
        statements = format!("CREATE ROLE \"{name}\" LOGIN{password}; {statements}");
    } else if verifier.is_some() {
        statements = format!("ALTER ROLE \"{name}\" LOGIN{password}; {statements}");
    }
    transaction.batch_execute(&statements).await.map_err(error)?;
    if let Kind::Station(key) = kind {
        add_key(&transaction, config, name, &key).await?;
    }
    transaction.commit().await.map_err(error)?;
    Ok(Enrolled { is_new: role.is_none() })
}

async fn add_key(
    client: &impl GenericClient,
    config: &Config,
    name: &str,
    key: &[u8; 32],
) -> Result<(), HubError> {
    let error = |error| HubError::of(config, error);
    client.execute(ENROLL, &[&name, &key.as_slice()]).await.map_err(error)?;
    let other: String = client.query_one(ENROLLED, &[&key.as_slice()]).await.map_err(error)?.get(0);
    if other != name {
        return Err(HubError::Enrol(format!(
            "this key is that of the station {other} already. Each station has a key of its own: station init"
        )));
    }
    Ok(())
}

/// What needs no quotes anywhere, is not cut off by the server (63 bytes, `NAMEDATALEN` of PostgreSQL), and is none of
/// its own names.
fn check_name(name: &str) -> Result<(), HubError> {
    let is_good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    let is_taken = ["pg_", "hub_"].iter().any(|start| name.starts_with(start))
        || ["public", "none", "postgres"].contains(&name);
    if (1..=63).contains(&name.len()) && name.chars().all(is_good) && !is_taken {
        return Ok(());
    }
    Err(HubError::Enrol(format!(
        "{name} cannot be the name of a station. Write up to 63 of a to z, digits, -, _ and ., and not a name of \
         PostgreSQL or of the hub"
    )))
}

/// A new random password in a new file, which only its owner can read.
fn new_password(file: &Path) -> Result<Zeroizing<Vec<u8>>, HubError> {
    let of = |error| HubError::Io(file.to_owned(), error);
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes).map_err(|error| of(io::Error::from(error)))?;
    let password = Zeroizing::new(Base64UrlUnpadded::encode_string(&*bytes).into_bytes());
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut new = options.open(file).map_err(of)?;
    new.write_all(&password)
        .and_then(|()| new.write_all(b"\n"))
        .and_then(|()| new.sync_all())
        .map_err(of)?;
    Ok(password)
}
