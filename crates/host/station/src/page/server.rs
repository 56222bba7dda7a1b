// SPDX-License-Identifier: Apache-2.0

//! The page's thread: connections, addresses, events.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware;
use axum::response::sse::{Event, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use futures_util::stream::{self, Stream};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use jiff::{SignedDuration, Timestamp};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task;
use tokio::time::{self, Instant};
use tokio_io_timeout::TimeoutStream;

use super::book::{Place, Whole};
use super::frame::Frame;
use super::guard::{Token, guard};
use super::line::Line;
use super::of_hub::OfHub;
use super::of_ledger::OfLedger;
use super::source::{Kind, Unread};
use super::{Options, engineer, lock, operator};

/// Connections at the same time; a browser has one or two. Others wait.
pub const CONNECTIONS: usize = 128;

/// How long a browser may take nothing of what it is sent.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may be open without a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How often the line is looked at: what changes within is one change.
const TICK: Duration = Duration::from_millis(100);

/// How often a browser gets something, so that it knows that the page is alive: `operator.js` waits three times as long.
const BEAT: Duration = Duration::from_secs(1);

/// How long the last words to the browsers may take.
const FAREWELL: Duration = Duration::from_millis(300);

/// Bytes that wait in the system for a browser: what is older than those is not of interest.
const SEND_BUFFER: u32 = 64 * 1024;

/// How long the last run of a port stands for what is on it, where only the ledger tells.
const RECENT: SignedDuration = SignedDuration::from_mins(10);

/// A browser does not hand on an event without data.
const NOTHING: &str = "<!-- -->";

/// What the addresses show.
pub struct Site {
    line: Arc<Mutex<Line>>,
    /// The line as it was last written; somebody watches while it has receivers.
    frame: watch::Sender<Frame>,
    /// Another one for each start of the station.
    start_id: String,
    shelf: Shelf,
    /// Of those that ask a hub one after the other, one waits for it, and none keeps a figure from another.
    look_up: Arc<Semaphore>,
    pub token: Option<Token>,
    pub hosts: Vec<String>,
}

/// What is read for the engineer. Only threads that may wait read or lock it.
#[derive(Clone)]
pub enum Shelf {
    /// One ledger, which is read when somebody looks.
    Ledger(Arc<Mutex<OfLedger>>),
    /// A hub, which is read by a thread of its own.
    Hub(Arc<OfHub>),
}

impl Shelf {
    pub fn of_ledger(ledger: OfLedger) -> Self {
        Self::Ledger(Arc::new(Mutex::new(ledger)))
    }

    pub const fn of_hub(hub: Arc<OfHub>) -> Self {
        Self::Hub(hub)
    }
}

impl Site {
    pub fn new(line: Arc<Mutex<Line>>, shelf: Shelf, options: Options) -> Self {
        let start_id = lock(&line).begun.as_nanosecond().to_string();
        let Options { token, hosts, .. } = options;
        let look_up = Arc::new(Semaphore::new(1));
        let frame = watch::Sender::new(Frame::default());
        Self { line, frame, start_id, shelf, look_up, token, hosts }
    }

    fn title(&self) -> String {
        lock(&self.line).about.title().to_owned()
    }

    fn around(&self) -> engineer::Around {
        engineer::Around {
            title: self.title(),
            start_id: self.start_id.clone(),
            is_of_hub: matches!(self.shelf, Shelf::Hub(_)),
        }
    }

    /// Writes what has changed, if there is something.
    fn refresh(&self) {
        let version = lock(&self.line).version;
        self.frame.send_if_modified(|frame| {
            let is_old = frame.is_empty() || frame.version != version;
            if is_old {
                *frame = frame.next(&self.line);
            }
            is_old
        });
    }
}

/// Takes an address, in the page's runtime.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Connections of a station that has just ended do not keep its address. On Windows this would share it.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(CONNECTIONS.try_into().unwrap_or(u32::MAX))
}

/// Answers browsers until it is stopped.
pub async fn serve(listener: TcpListener, site: Site, mut stopped: watch::Receiver<bool>) {
    let site = Arc::new(site);
    let router = router(&site);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let accept = tokio::spawn(async move {
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let answer = answer(stream, router.clone());
                    tokio::spawn(async move {
                        answer.await;
                        drop(place);
                    });
                }
                // The machine has no more files, for example: later.
                Err(_) => time::sleep(TICK).await,
            }
        }
    });
    let watched = Arc::clone(&site);
    let look = tokio::spawn(async move {
        let mut ticks = time::interval(TICK);
        ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if watched.frame.receiver_count() > 0 {
                watched.refresh();
            }
        }
    });
    let of_ledger = Arc::clone(&site);
    let follow = tokio::spawn(async move {
        while lock(&of_ledger.line).is_of_ledger {
            let Shelf::Ledger(ledger) = of_ledger.shelf.clone() else { return };
            let runs = blocking(move || {
                let mut ledger = whole(&ledger);
                ledger.read(READ);
                ledger.book.last_of_ports(RECENT, Timestamp::now())
            });
            if let Some(runs) = runs.await {
                lock(&of_ledger.line).take_runs(&runs);
            }
            time::sleep(BEAT).await;
        }
    });
    let _ = stopped.wait_for(|stopped| *stopped).await;
    [accept, look, follow].iter().for_each(task::JoinHandle::abort);
    // The last frame, which says that the batch is over.
    site.refresh();
    let _ = time::timeout(FAREWELL, site.frame.closed()).await;
}

/// Answers one browser. What is wrong with the connection is the browser's business.
async fn answer(stream: TcpStream, router: Router) {
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    let io = TokioIo::new(Box::pin(stream));
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_TIMEOUT)
        .serve_connection(io, TowerToHyperService::new(router))
        .await;
}

fn router(site: &Arc<Site>) -> Router {
    let file = |kind: &'static str, text: &'static str| {
        get(move || async move { ([(CONTENT_TYPE, kind)], text).into_response() })
    };
    Router::new()
        .route("/", get(line))
        .route("/events", get(events))
        .route("/engineer", get(engineer))
        .route("/engineer/events", get(engineer_events))
        .route("/attempt/{number}", get(attempt))
        .route("/attempt/{ledger}/{number}", get(attempt_at_hub))
        .route("/engineer.js", file("text/javascript; charset=utf-8", include_str!("engineer.js")))
        .route("/page.css", file("text/css; charset=utf-8", include_str!("page.css")))
        .route("/operator.js", file("text/javascript; charset=utf-8", include_str!("operator.js")))
        .route("/icon.svg", file("image/svg+xml", include_str!("icon.svg")))
        .layer(middleware::from_fn_with_state(Arc::clone(site), guard))
        .with_state(Arc::clone(site))
}

async fn line(State(site): State<Arc<Site>>) -> Html<String> {
    if let Shelf::Hub(_) = site.shelf {
        return Html(engineer::no_line(&site.around()).into_string());
    }
    let line = lock(&site.line).clone();
    Html(operator::page(&line, &site.start_id).into_string())
}

/// What happens on the line: first everything, then what changes, and a beat where nothing does.
async fn events(State(site): State<Arc<Site>>) -> Response {
    if let Shelf::Hub(_) = site.shelf {
        return StatusCode::NOT_FOUND.into_response();
    }
    line_events(&site).into_response()
}

fn line_events(site: &Site) -> Sse<impl Stream<Item = Result<Event, Infallible>> + use<>> {
    let mut frames = site.frame.subscribe();
    site.refresh();
    frames.mark_changed();
    let first = Event::default().event("start").data(&site.start_id).retry(BEAT);
    let seen: Option<u64> = None;
    let changes = stream::unfold((frames, seen, false), |(mut frames, seen, ended)| async move {
        if ended {
            return None;
        }
        let Ok(changed) = time::timeout_at(Instant::now() + BEAT, frames.changed()).await else {
            return Some((Event::default().event("beat").data(NOTHING), (frames, seen, false)));
        };
        changed.ok()?;
        let (html, version, ended) = {
            let frame = frames.borrow_and_update();
            (frame.since(seen) + NOTHING, frame.version, frame.ended)
        };
        let name = if ended { "end" } else { "line" };
        Some((Event::default().event(name).data(html), (frames, Some(version), ended)))
    });
    Sse::new(stream::StreamExt::map(
        stream::StreamExt::chain(stream::iter([first]), changes),
        Ok::<_, Infallible>,
    ))
}

/// How long a request reads on in a ledger: what is left is for the next one.
const READ: Duration = Duration::from_millis(500);

/// Does something where waiting stops nobody.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    task::spawn_blocking(work).await.ok()
}

/// What was read of a ledger is whole at every moment, even if a thread has panicked.
fn whole(ledger: &Mutex<OfLedger>) -> MutexGuard<'_, OfLedger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long somebody waits for others who ask the hub.
const TURN: Duration = Duration::from_secs(15);

/// Asks a hub, after those who were first. `None` where that takes too long.
async fn ask<T: Send + 'static>(
    site: &Site,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let turn = Arc::clone(&site.look_up).acquire_owned();
    let turn = time::timeout(TURN, turn).await.ok()?.ok()?;
    blocking(move || {
        let answer = work();
        drop(turn);
        answer
    })
    .await
}

async fn engineer(State(site): State<Arc<Site>>, Query(query): Query<engineer::Query>) -> Response {
    let around = site.around();
    let page = match site.shelf.clone() {
        Shelf::Ledger(ledger) => {
            blocking(move || {
                let mut ledger = whole(&ledger);
                let reading = ledger.read(READ);
                engineer::page(&mut ledger, &reading, &query, &around)
            })
            .await
        }
        Shelf::Hub(hub) => {
            let found = match query.part() {
                None => None,
                Some(part) => {
                    let (hub, part) = (Arc::clone(&hub), part.to_owned());
                    let found = ask(&site, move || hub.runs_of(&part)).await;
                    Some(found.unwrap_or_else(|| Err(busy())))
                }
            };
            blocking(move || engineer::page_of_hub(&hub, found.as_ref(), &query, &around)).await
        }
    };
    page.map_or_else(broken, |page| Html(page.into_string()).into_response())
}

fn busy() -> Unread {
    let text = String::from("others ask the hub just now, and it is slow. Try again");
    Unread { text, kind: Kind::Away }
}

async fn attempt(State(site): State<Arc<Site>>, Path(number): Path<u64>) -> Response {
    let around = site.around();
    let found = match site.shelf.clone() {
        Shelf::Ledger(ledger) => {
            blocking(move || {
                let mut ledger = whole(&ledger);
                ledger.read(READ);
                ledger.whole(number).map(|whole| whole.map(|whole| (None, whole)))
            })
            .await
        }
        // There it has the number of its ledger, too.
        Shelf::Hub(_) => Some(Ok(None)),
    };
    found.map_or_else(broken, |found| answer_with(found, &around, "../"))
}

async fn attempt_at_hub(
    State(site): State<Arc<Site>>,
    Path((ledger, number)): Path<(i32, u64)>,
) -> Response {
    let around = site.around();
    let found = match site.shelf.clone() {
        Shelf::Hub(hub) => {
            let found = ask(&site, move || hub.whole(ledger, number)).await;
            found.unwrap_or_else(|| Err(busy()))
        }
        Shelf::Ledger(_) => Ok(None),
    };
    let found = found.map(|found| found.map(|(place, whole)| (Some(place), whole)));
    answer_with(found, &around, "../../")
}

/// A run, or why there is none.
fn answer_with(
    found: Result<Option<(Option<Place>, Whole)>, Unread>,
    around: &engineer::Around,
    root: &str,
) -> Response {
    let (status, page) = match found {
        Ok(Some((place, whole))) => {
            (StatusCode::OK, engineer::attempt(place.as_ref(), &whole, around, root))
        }
        Ok(None) => {
            let text = "There is no such attempt, or it was not read yet";
            (StatusCode::NOT_FOUND, engineer::nothing(around, root, text))
        }
        Err(Unread { text, kind }) => {
            let status = match kind {
                Kind::Away => StatusCode::SERVICE_UNAVAILABLE,
                Kind::Damage | Kind::Lack => StatusCode::INTERNAL_SERVER_ERROR,
            };
            (status, engineer::nothing(around, root, &text))
        }
    };
    (status, Html(page.into_string())).into_response()
}

fn broken() -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, "The page is broken: start the station again.\n")
        .into_response()
}

/// How often a ledger or a hub is looked at for an engineer.
const LOOK: Duration = Duration::from_secs(2);

/// That the ledger or the hub has grown. The page then takes anew what it shows.
async fn engineer_events(
    State(site): State<Arc<Site>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let first = Event::default().event("start").data(&site.start_id).retry(BEAT);
    let stop = site.frame.subscribe();
    let changes = stream::unfold((site, stop, None), |(site, mut stop, seen)| async move {
        if seen.is_some() {
            let _ = time::timeout(LOOK, stop.wait_for(|frame| frame.ended)).await;
            if stop.borrow().ended {
                return None;
            }
        }
        let last = match site.shelf.clone() {
            Shelf::Ledger(ledger) => blocking(move || whole(&ledger).last().ok()).await?,
            Shelf::Hub(hub) => blocking(move || Some(hub.version())).await?,
        };
        let name = if last.is_some() && last != seen { "ledger" } else { "beat" };
        let seen = last.or(seen).or(Some(0));
        Some((Event::default().event(name).data(NOTHING), (site, stop, seen)))
    });
    Sse::new(stream::StreamExt::map(
        stream::StreamExt::chain(stream::iter([first]), changes),
        Ok::<_, Infallible>,
    ))
}
