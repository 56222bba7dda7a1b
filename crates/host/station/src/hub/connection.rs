// SPDX-License-Identifier: Apache-2.0

//! One connection to the hub. Every call ends in time: a server that has gone silent does not keep a station waiting.

use std::fs;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{Config, HubError, VERSION};

/// A connection to the database.
pub(super) struct Connection {
    client: Client,
    /// Its one thread drives the connection.
    runtime: Runtime,
}

impl Connection {
    /// Connects to a database that has a hub of our version.
    pub(super) fn to_hub(config: &Config) -> Result<Self, HubError> {
        let mut connection = Self::to_database(config)?;
        match connection.call(config, async |client| version(client, config).await)? {
            VERSION => Ok(connection),
            other => Err(HubError::Version(config.to_string(), other)),
        }
    }

    /// Connects to a database.
    pub(super) fn to_database(config: &Config) -> Result<Self, HubError> {
        let postgres = config.postgres()?;
        let tls = config.tls()?.map(|ca| tls(ca)).transpose()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| HubError::Unreachable(config.to_string(), error.to_string()))?;
        let connect = async {
            let error = |error| HubError::of_connect(config, error);
            let client = if let Some(tls) = tls {
                let (client, connection) = postgres.connect(tls).await.map_err(error)?;
                tokio::spawn(connection);
                client
            } else {
                let (client, connection) = postgres.connect(NoTls).await.map_err(error)?;
                tokio::spawn(connection);
                client
            };
            Ok::<_, HubError>(client)
        };
        let limit = config.connect_timeout;
        let client = runtime
            .block_on(async { timeout(limit, connect).await })
            .map_err(|_| HubError::Silent(config.to_string(), limit))??;
        let mut connection = Self { client, runtime };
        connection.call(config, async |client| {
            let settings = settings(config);
            client.batch_execute(&settings).await.map_err(|error| HubError::of(config, error))
        })?;
        Ok(connection)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Does this while the caller goes on: [`Running::wait`].
    pub(super) fn start<T, F>(self, work: impl FnOnce(Client) -> F) -> Running<T>
    where
        T: Send + 'static,
        F: Future<Output = (Client, Result<T, HubError>)> + Send + 'static,
    {
        let Self { client, runtime } = self;
        let task = runtime.spawn(work(client));
        Running { runtime, task }
    }

    /// Does this, in time.
    pub(super) fn call<T>(
        &mut self,
        config: &Config,
        work: impl AsyncFnOnce(&mut Client) -> Result<T, HubError>,
    ) -> Result<T, HubError> {
        let Self { client, runtime } = self;
        let limit = config.timeout;
        runtime
            .block_on(async { timeout(limit, work(client)).await })
            .map_err(|_| HubError::Silent(config.to_string(), limit))?
    }
}

/// What is done over a connection meanwhile.
pub(super) struct Running<T> {
    runtime: Runtime,
    task: JoinHandle<(Client, Result<T, HubError>)>,
}

impl<T> Running<T> {
    /// Waits until it is done, and gives the connection back.
    pub(super) fn wait(self) -> (Connection, Result<T, HubError>) {
        let Self { runtime, task } = self;
        match runtime.block_on(task) {
            Ok((client, result)) => (Connection { client, runtime }, result),
            // It is never cancelled.
            Err(panic) => resume_unwind(panic.into_panic()),
        }
    }
}

/// What holds for a session. The server, too, gives up what takes too long, so that a station that is cut off does not
/// keep a part from the others. No plan may read whole tables, whatever the server has counted when they were small; and
/// none is compiled, since a plan that has to is priced so high that it always would be.
fn settings(config: &Config) -> String {
    let limit = config.timeout.as_millis();
    let read_only = if config.is_read_only { "on" } else { "off" };
    format!(
        "SET search_path = hub, pg_temp; SET client_min_messages = warning; SET TIME ZONE 'UTC'; \
         SET statement_timeout = {limit}; SET lock_timeout = {limit}; \
         SET idle_in_transaction_session_timeout = {limit}; SET enable_seqscan = off; SET jit = off; \
         SET default_transaction_read_only = {read_only}"
    )
}

/// The version of the hub in this database.
async fn version(client: &Client, config: &Config) -> Result<i32, HubError> {
    let found = client.query_opt("SELECT max(version) FROM hub.refinery_schema_history", &[]).await;
    let none = || HubError::NotAHub(config.to_string());
    match found {
        Ok(row) => row.and_then(|row| row.get(0)).ok_or_else(none),
        Err(error) => match error.code() {
            Some(&SqlState::UNDEFINED_TABLE | &SqlState::INVALID_SCHEMA_NAME) => Err(none()),
            _ => Err(HubError::of(config, error)),
        },
    }
}

/// TLS that believes what these authorities have signed, for the name that the hub is called by.
fn tls(ca: &Path) -> Result<MakeRustlsConnect, HubError> {
    let bad = |why: String| HubError::Ca(ca.to_owned(), why);
    let pem = fs::read(ca).map_err(|error| bad(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| bad(error.to_string()))?;
        roots.add(certificate).map_err(|error| bad(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(bad("there is no certificate in it".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}
