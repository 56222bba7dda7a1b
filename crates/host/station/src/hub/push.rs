// SPDX-License-Identifier: Apache-2.0

//! A ledger to the hub: from the hub's last link on, batch by batch. What is there already is compared, so that a push
//! may be cut off anywhere and begun again.

use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, GenericClient};

use super::connection::Running;
use super::{Alarm, Config, Hub, HubError, Retry, claims, sent};
use crate::ledger::{Entry, Ledger, Link, Origin, Receipt};

/// Links in a batch, which is a transaction.
pub const BATCH: u64 = 2_000;

pub(super) const STATION: &str = "SELECT station, role FROM hub.stations WHERE origin = $1";
const BEGIN_STATION: &str = "INSERT INTO hub.stations \
    (key, batch, continues_format, continues_number, continues_head, origin) VALUES ($1, $2, $3, $4, $5, $6) \
    ON CONFLICT (origin) DO NOTHING";
pub(super) const LAST: &str =
    "SELECT number, hash FROM hub.links WHERE station = $1 ORDER BY number DESC LIMIT 1";
pub(super) const HASH: &str = "SELECT hash FROM hub.links WHERE station = $1 AND number = $2";
const HASHES: &str = "SELECT number, hash FROM hub.links \
    WHERE station = $1 AND number = ANY($2) ORDER BY number";
const CHECKPOINT: &str = "INSERT INTO hub.checkpoints (station, number, note) VALUES ($1, $2, $3) \
    ON CONFLICT (station, number) DO NOTHING";

/// What a push has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Links that the hub did not have.
    pub links: u64,
    /// Those of them that it had acknowledged before: it was restored from a backup.
    pub again: u64,
    /// The last link that the hub has now; number 0 where it has none.
    pub last: Receipt,
}

impl Hub {
    /// The last link that the hub has of the ledger with this origin; number 0 and the origin where it has none.
    ///
    /// # Errors
    /// The hub cannot be asked.
    pub fn last(&mut self, origin: &Origin) -> Result<Receipt, HubError> {
        let (config, hash) = (self.config.clone(), origin.hash());
        self.call(async |client| {
            let error = |error| HubError::of(&config, error);
            let found = client.query_opt(STATION, &[&hash.as_slice()]).await.map_err(error)?;
            match found {
                Some(row) => last(client, row.get(0), hash).await.map_err(error),
                None => Ok(Receipt { number: 0, hash }),
            }
        })
    }

    /// Whether the ledger and the hub agree on what both have. It gives the hub's last link, and sends nothing.
    ///
    /// # Errors
    /// As [`Hub::push`], which it is the beginning of. It is tried once.
    pub fn compare(&mut self, ledger: &Ledger) -> Result<Receipt, HubError> {
        Push::of(self, ledger)?.begin(self).map(|(_, last)| last)
    }

    /// Sends the links that the hub lacks, up to the last one that the ledger has acknowledged, and tries again where
    /// something is in the way that can go by itself.
    ///
    /// `check_record` is asked of each entry before it is sent. `progress` gets how many links are at the hub, and how
    /// many there are. The last link of each batch is sent with a checkpoint, for which the ledger has to have its
    /// [signer](Ledger::set_signer).
    ///
    /// # Errors
    /// The ledger has no station key, or no signer; a link or a record of it is bad, it contradicts the hub ([`Alarm`]), the station
    /// is not enrolled, or the hub cannot be used: what is transient was tried again until nothing got through for
    /// [`super::PATIENCE`]. The batches that the hub has acknowledged are there.
    pub fn push(
        &mut self,
        ledger: &Ledger,
        check_record: &mut dyn FnMut(&Entry) -> Result<(), String>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Pushed, HubError> {
        let mut push = Push::of(self, ledger)?;
        let mut retry = Retry::new(self.config.patience);
        loop {
            let result = push.once(self, check_record, &mut |at, of| {
                retry.progress();
                progress(at, of);
            });
            match result {
                Err(error) if error.is_transient() && retry.wait() => self.connection = None,
                Err(error) => return Err(error),
                Ok(()) => return Ok(push.done()),
            }
        }
    }

    /// Sends a batch while the caller goes on. The connection is back when it was waited for.
    fn start(&mut self, batch: Batch) -> Result<Running<()>, HubError> {
        let (connection, config) = (self.take()?, self.config.clone());
        Ok(connection.start(async move |mut client| {
            let limit = config.timeout;
            let result = timeout(limit, send(&mut client, &config, &batch)).await;
            let silent = || HubError::Silent(config.to_string(), limit);
            (client, result.unwrap_or_else(|_| Err(silent())))
        }))
    }
}

/// Links that are sent together, each with its content.
struct Batch {
    station: i32,
    links: Vec<(Link, Vec<u8>)>,
    /// The last one.
    end: Receipt,
    /// Its checkpoint.
    note: String,
}

/// A push, over all its tries.
struct Push<'a> {
    ledger: &'a Ledger,
    origin: Origin,
    /// The last link to send.
    end: u64,
    /// The name of the hub.
    hub: String,
    /// The last link that it had acknowledged before.
    acknowledged: u64,
    /// The last link that it had when the push began.
    first: Option<u64>,
    /// The last one that it has.
    last: Receipt,
}

impl<'a> Push<'a> {
    fn of(hub: &Hub, ledger: &'a Ledger) -> Result<Self, HubError> {
        let origin = ledger.origin()?;
        if origin.station_key.is_none() {
            return Err(HubError::NoKey);
        }
        let hub = hub.config.to_string();
        Ok(Self {
            ledger,
            end: ledger.kept_head()?.number,
            origin,
            acknowledged: sent::get(ledger, &hub)?.map_or(0, |last| last.number),
            hub,
            first: None,
            last: Receipt { number: 0, hash: [0; 32] },
        })
    }

    /// The number of the ledger at the hub, and the last link there, which the file must have, too.
    fn begin(&self, hub: &mut Hub) -> Result<(i32, Receipt), HubError> {
        let config = hub.config.clone();
        let station = hub.call(async |client| station(client, &config, &self.origin).await)?;
        let origin = self.origin.hash();
        let last = hub.call(async |client| {
            last(client, station, origin).await.map_err(|error| HubError::of(&config, error))
        })?;
        self.compare(hub, station, last)?;
        Ok((station, last))
    }

    fn once(
        &mut self,
        hub: &mut Hub,
        check_record: &mut dyn FnMut(&Entry) -> Result<(), String>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), HubError> {
        let (station, last) = self.begin(hub)?;
        self.last = last;
        self.first.get_or_insert(last.number);
        let mut next = self.next(station, self.last, check_record);
        // While the hub takes one batch, the next one is read and checked.
        while let Some(batch) = next? {
            let end = batch.end;
            let running = hub.start(batch)?;
            next = self.next(station, end, check_record);
            hub.wait(running)?;
            sent::put(self.ledger, &self.hub, end)?;
            self.last = end;
            progress(end.number, self.end);
        }
        Ok(())
    }

    /// The batch that follows this link, checked.
    fn next(
        &self,
        station: i32,
        last: Receipt,
        check_record: &mut dyn FnMut(&Entry) -> Result<(), String>,
    ) -> Result<Option<Batch>, HubError> {
        let links = self.ledger.links_after(last, self.end.min(last.number + BATCH))?;
        let Some((link, _)) = links.last() else { return Ok(None) };
        let end = Receipt { number: link.number, hash: link.hash };
        for (link, _) in &links {
            if let Some(entry) = link.entry() {
                check_record(entry).map_err(|why| HubError::Record(link.number, why))?;
            }
        }
        let note = self.ledger.checkpoint(end).ok_or(HubError::NoSigner)?;
        Ok(Some(Batch { station, links, end, note }))
    }

    fn done(&self) -> Pushed {
        let first = self.first.unwrap_or(self.last.number);
        Pushed {
            links: self.last.number.saturating_sub(first),
            again: self.last.number.min(self.acknowledged).saturating_sub(first),
            last: self.last,
        }
    }

    /// Whether the file has the last link of the hub.
    fn compare(&self, hub: &mut Hub, station: i32, last: Receipt) -> Result<(), HubError> {
        if self.ledger.hash_at(last.number)? == Some(last.hash) {
            return Ok(());
        }
        let end = self.ledger.head()?.number.min(last.number);
        let config = hub.config.clone();
        let mut hashes = |number| {
            let here = self.ledger.hash_at(number)?.unwrap_or_default();
            let there = hub.call(async |client| hash(client, &config, station, number).await)?;
            Ok::<_, HubError>((here, there))
        };
        let is_same = |(here, there)| here == there;
        if end == 0 || is_same(hashes(end)?) {
            return Err(Alarm::Behind { here: end, there: last }.into());
        }
        // Both are chains: from the first link that is another one, all are.
        let (mut same, mut other) = (0, end);
        while other - same > 1 {
            let middle = same + (other - same) / 2;
            if is_same(hashes(middle)?) {
                same = middle;
            } else {
                other = middle;
            }
        }
        let (here, there) = hashes(other)?;
        Err(Alarm::Fork { number: other, here, there }.into())
    }
}

/// The number of the ledger at the hub, which is given to it at its first push.
async fn station(client: &Client, config: &Config, origin: &Origin) -> Result<i32, HubError> {
    let hash = origin.hash();
    let error = |error| HubError::of(config, error);
    let key = origin.station_key.ok_or(HubError::NoKey)?;
    let not_enrolled = || {
        let verifier = origin.verifier().map_or_else(String::new, |verifier| verifier.to_string());
        HubError::NotEnrolled { role: config.role().to_owned(), verifier }
    };
    for is_second in [false, true] {
        if let Some(row) = client.query_opt(STATION, &[&hash.as_slice()]).await.map_err(error)? {
            let role: String = row.get(1);
            return if role == config.role() {
                Ok(row.get(0))
            } else {
                Err(HubError::OtherRole(role))
            };
        }
        if is_second {
            break;
        }
        let continues = origin.continues.as_ref();
        let format = continues.map(|old| i32::try_from(old.format).unwrap_or(i32::MAX));
        let number = continues.map(|old| i64::try_from(old.number).unwrap_or(i64::MAX));
        let head = continues.map(|old| old.head.as_slice());
        let inserted = client
            .execute(
                BEGIN_STATION,
                &[&key.as_slice(), &origin.batch, &format, &number, &head, &hash.as_slice()],
            )
            .await;
        inserted.map_err(|error| match error.code() {
            Some(&SqlState::FOREIGN_KEY_VIOLATION) => not_enrolled(),
            _ => HubError::of(config, error),
        })?;
    }
    Err(not_enrolled())
}

async fn last(
    client: &Client,
    station: i32,
    origin: [u8; 32],
) -> Result<Receipt, tokio_postgres::Error> {
    let row = client.query_opt(LAST, &[&station]).await?;
    Ok(row.map_or(Receipt { number: 0, hash: origin }, |row| Receipt {
        number: row.get::<_, i64>(0).cast_unsigned(),
        hash: to_hash(row.get(1)),
    }))
}

async fn hash(
    client: &Client,
    config: &Config,
    station: i32,
    number: u64,
) -> Result<[u8; 32], HubError> {
    let row = client.query_opt(HASH, &[&station, &number.cast_signed()]).await;
    let row = row.map_err(|error| HubError::of(config, error))?;
    Ok(row.map_or([0; 32], |row| to_hash(row.get(0))))
}

/// The tables have no hash of another length.
pub(super) fn to_hash(bytes: &[u8]) -> [u8; 32] {
    bytes.try_into().unwrap_or([0; 32])
}

/// Sends a batch, all of it or nothing. Links that the hub has already must be the same.
async fn send(client: &mut Client, config: &Config, batch: &Batch) -> Result<(), HubError> {
    let Batch { station, links, end, note } = batch;
    let error = |error| HubError::of(config, error);
    let transaction = client.transaction().await.map_err(error)?;
    let new = match claims::insert(&transaction, *station, links).await {
        Ok(new) => new,
        // A link that does not follow the one that is there: the cause is wanted, not the constraint.
        Err(broken) if broken.code() == Some(&SqlState::FOREIGN_KEY_VIOLATION) => {
            transaction.rollback().await.map_err(error)?;
            compare(client, config, *station, links).await?;
            return Err(error(broken));
        }
        Err(other) => return Err(error(other)),
    };
    if new < links.len() as u64 {
        // Another program sends the same ledger, or a copy of it.
        compare(&transaction, config, *station, links).await?;
    }
    let number = end.number.cast_signed();
    transaction.execute(CHECKPOINT, &[station, &number, note]).await.map_err(error)?;
    transaction.commit().await.map_err(error)
}

/// Whether the links that the hub has are these.
async fn compare(
    client: &impl GenericClient,
    config: &Config,
    station: i32,
    links: &[(Link, Vec<u8>)],
) -> Result<(), HubError> {
    let numbers: Vec<_> = links.iter().map(|(link, _)| link.number.cast_signed()).collect();
    let rows = client.query(HASHES, &[&station, &numbers]).await;
    for row in rows.map_err(|error| HubError::of(config, error))? {
        let (number, there) = (row.get::<_, i64>(0).cast_unsigned(), to_hash(row.get(1)));
        let is_other = |link: &&Link| link.number == number && link.hash != there;
        if let Some(link) = links.iter().map(|(link, _)| link).find(is_other) {
            return Err(Alarm::Fork { number, here: link.hash, there }.into());
        }
    }
    Ok(())
}
