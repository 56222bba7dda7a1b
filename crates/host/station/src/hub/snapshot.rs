// SPDX-License-Identifier: Apache-2.0

//! The hub as it is at one moment, read while stations go on pushing.

use std::time::Duration;

use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

use super::connection::Connection;
use super::{Config, HubError};

/// How long one statement may take that reads a whole table.
const TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// Rows that are asked for at once.
const ROWS: u32 = 256;

/// Read-only, and no plan may hold a table in memory. That all rows of a cursor will be read is no news to the planner.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
    SET LOCAL enable_hashjoin = off; SET LOCAL enable_nestloop = off; SET LOCAL cursor_tuple_fraction = 1";

/// The hub at one moment.
pub(super) struct Snapshot {
    config: Config,
    connection: Connection,
}

/// The rows of a statement, some at a time.
pub(super) struct Cursor {
    fetch: Statement,
    has_more: bool,
}

impl Snapshot {
    pub(super) fn of(config: &Config) -> Result<Self, HubError> {
        let mut config = config.clone();
        config.timeout = TIMEOUT;
        let connection = Connection::to_hub(&config)?;
        let mut snapshot = Self { config, connection };
        snapshot.execute(BEGIN)?;
        Ok(snapshot)
    }

    pub(super) fn execute(&mut self, statements: &str) -> Result<(), HubError> {
        let Self { config, connection } = self;
        connection.call(config, async |client| {
            client.batch_execute(statements).await.map_err(|error| HubError::of(config, error))
        })
    }

    /// All rows of a statement that gives few.
    pub(super) fn rows(
        &mut self,
        statement: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, HubError> {
        let Self { config, connection } = self;
        connection.call(config, async |client| {
            client.query(statement, parameters).await.map_err(|error| HubError::of(config, error))
        })
    }

    /// The rows of a statement that gives many. It takes the place of the cursor before.
    pub(super) fn cursor(&mut self, statement: &str) -> Result<Cursor, HubError> {
        self.execute(&format!("CLOSE ALL; DECLARE rows NO SCROLL CURSOR FOR {statement}"))?;
        let Self { config, connection } = self;
        let fetch = connection.call(config, async |client| {
            client
                .prepare(&format!("FETCH FORWARD {ROWS} FROM rows"))
                .await
                .map_err(|error| HubError::of(config, error))
        })?;
        Ok(Cursor { fetch, has_more: true })
    }

    /// The next rows of the last cursor; `None` at its end.
    pub(super) fn next(&mut self, cursor: &mut Cursor) -> Result<Option<Vec<Row>>, HubError> {
        if !cursor.has_more {
            return Ok(None);
        }
        let Self { config, connection } = self;
        let rows = connection.call(config, async |client| {
            client.query(&cursor.fetch, &[]).await.map_err(|error| HubError::of(config, error))
        })?;
        cursor.has_more = rows.len() == ROWS as usize;
        Ok((!rows.is_empty()).then_some(rows))
    }
}
