// SPDX-License-Identifier: Apache-2.0

//! Veraison's provisioning service, as its sources have it: veraison/services, `provisioning/api/handler.go` and
//! `vts/trustedservices/trustedservices_grpc.go`, and the store, veraison/corim-store, `pkg/store/store.go`. And faults
//! that it can be told to have.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use coset::CborSerializable;
use coset::cbor::value::Value;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

pub const SESSION: &str = "application/vnd.veraison.provisioning-session+json";
pub const SUBMIT: &str = "/endorsement-provisioning/v1/submit";

/// The profile of `psa-2025`.
pub const PSA_2025: &str = "tag:arm.com,2025:psa#1.0.0";

/// A request, as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// What is wrong with the answer to one request.
#[derive(Clone)]
pub enum Fault {
    /// This answer, and nothing is taken.
    Answer { status: u16, headers: Vec<(&'static str, String)>, body: String },
    /// The connection is closed without an answer, or in the middle of one, before or after the request was carried
    /// out.
    Close { is_taken: bool, after: usize },
    /// A body that never ends.
    Endless,
    /// An answer of which a byte comes now and then, for ever.
    Trickle,
    /// No answer at all.
    Silent,
    /// It is carried out later: a session that is looked at so often until it is over, if ever.
    Later { looks: Option<usize>, fails: Option<&'static str>, location: Option<String> },
    /// Something happens when the request is there, and then it is carried out.
    Then(Arc<dyn Fn() + Send + Sync>),
    /// As `Then`, but nothing is answered after it is carried out.
    TakenThen(Arc<dyn Fn() + Send + Sync>),
}

/// What a request is answered with.
pub fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Fault {
    let headers = headers.iter().map(|&(name, value)| (name, value.to_owned())).collect();
    Fault::Answer { status, headers, body: body.to_owned() }
}

/// A failed session.
pub fn failed(reason: &str) -> Fault {
    let body = serde_json::json!({
        "status": "failed", "expiry": "2026-11-27T12:00:00Z", "failure-reason": reason
    });
    answer(200, &[("Content-Type", SESSION)], &body.to_string())
}

struct Session {
    looks: Option<usize>,
    fails: Option<&'static str>,
}

#[derive(Default)]
struct State {
    requests: Vec<Request>,
    faults: VecDeque<Fault>,
    /// What was taken, by the identifier of the CoRIM.
    store: HashMap<String, Vec<u8>>,
    /// All that was taken, in order.
    taken: Vec<Vec<u8>>,
    sessions: Vec<Session>,
}

/// A verifier, until it goes out of scope.
pub struct Verifier {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    settings: Arc<Settings>,
}

pub struct Settings {
    /// What it takes, as it writes it.
    pub media_types: Vec<String>,
    pub token: Option<String>,
    pub tls: Option<Arc<ServerConfig>>,
}

impl Default for Settings {
    fn default() -> Self {
        let types = ["rim+cbor", "rim+cose"];
        let media_types =
            types.map(|name| format!("application/{name}; profile=\"{PSA_2025}\"")).to_vec();
        Self { media_types, token: None, tls: None }
    }
}

impl Verifier {
    pub fn new() -> Self {
        Self::with(Settings::default())
    }

    pub fn with(settings: Settings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let settings = Arc::new(settings);
        let (shared, with) = (Arc::clone(&state), Arc::clone(&settings));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (state, settings) = (Arc::clone(&shared), Arc::clone(&with));
                // What goes wrong with a connection is the client's to notice.
                thread::spawn(move || drop(connection(stream, &state, &settings)));
            }
        });
        Self { address, state, settings }
    }

    pub fn url(&self) -> String {
        let scheme = if self.settings.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// The next requests have these faults, one each.
    pub fn has(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state.lock().unwrap().faults.extend(faults);
    }

    pub fn requests(&self) -> Vec<Request> {
        self.state.lock().unwrap().requests.clone()
    }

    /// What it has, in the order in which it came.
    pub fn taken(&self) -> Vec<Vec<u8>> {
        self.state.lock().unwrap().taken.clone()
    }
}

fn connection(stream: TcpStream, state: &Mutex<State>, settings: &Settings) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    match &settings.tls {
        None => serve(stream, state, settings),
        Some(config) => {
            let tls = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
            serve(StreamOwned::new(tls, stream), state, settings)
        }
    }
}

fn serve(
    mut stream: impl Read + Write,
    state: &Mutex<State>,
    settings: &Settings,
) -> io::Result<()> {
    let Some(mut request) = head(&mut stream)? else { return Ok(()) };
    // gin routes by path and method, and the handler looks at the media type before it reads the body.
    let refusal = refusal(&request, settings);
    let fault = if request.method == "POST" || refusal.is_some() {
        state.lock().unwrap().faults.pop_front()
    } else {
        None
    };
    if let Some(Fault::Answer { status, headers, body }) = &fault {
        state.lock().unwrap().requests.push(request);
        return reply(&mut stream, *status, headers, body.as_bytes());
    }
    if let Some((status, headers, body)) = refusal {
        state.lock().unwrap().requests.push(request);
        return reply(&mut stream, status, &headers, body.as_bytes());
    }
    if request.header("expect") == Some("100-continue") {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        stream.flush()?;
    }
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    request.body = vec![0; length];
    stream.read_exact(&mut request.body)?;
    state.lock().unwrap().requests.push(request.clone());
    let json = [("Content-Type", SESSION.to_owned())];
    match fault {
        None => {
            let body = carry_out(&request, state);
            reply(&mut stream, 200, &json, body.as_bytes())
        }
        Some(Fault::Close { is_taken, after }) => {
            let body = if is_taken { carry_out(&request, state) } else { session("success", None) };
            let mut whole = Vec::new();
            reply(&mut whole, 200, &json, body.as_bytes())?;
            // Never to the end.
            stream.write_all(&whole[..after.min(whole.len() - 1)])?;
            stream.flush()
        }
        Some(Fault::Endless) => {
            stream.write_all(
                format!("HTTP/1.1 200 OK\r\nContent-Type: {SESSION}\r\n\r\n{{\"status\": \"")
                    .as_bytes(),
            )?;
            // Until the client has gone.
            loop {
                stream.write_all(&[b'x'; 4096])?;
            }
        }
        Some(Fault::Trickle) => {
            stream.write_all(
                format!("HTTP/1.1 200 OK\r\nContent-Type: {SESSION}\r\n\r\n").as_bytes(),
            )?;
            loop {
                stream.write_all(b" ")?;
                stream.flush()?;
                thread::sleep(Duration::from_millis(20));
            }
        }
        Some(Fault::Silent) => {
            // Until the client has gone.
            let _ = stream.read(&mut [0; 1]);
            Ok(())
        }
        Some(Fault::Later { looks, fails, location }) => {
            if fails.is_none() && looks.is_some() {
                carry_out(&request, state);
            }
            let number = {
                let mut state = state.lock().unwrap();
                state.sessions.push(Session { looks, fails });
                state.sessions.len() - 1
            };
            let own = format!("/endorsement-provisioning/v1/session/{number}");
            let location = location.unwrap_or(own);
            let mut headers = json.to_vec();
            if !location.is_empty() {
                headers.push(("Location", location));
            }
            reply(&mut stream, 201, &headers, session("processing", None).as_bytes())
        }
        Some(Fault::Then(happens)) => {
            happens();
            let body = carry_out(&request, state);
            reply(&mut stream, 200, &json, body.as_bytes())
        }
        Some(Fault::TakenThen(happens)) => {
            carry_out(&request, state);
            happens();
            Ok(())
        }
        Some(Fault::Answer { .. }) => unreachable!("answered above"),
    }
}

fn head(stream: &mut impl Read) -> io::Result<Option<Request>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte)? == 0 {
            return Ok(None);
        }
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let mut line = lines.next().unwrap().split(' ');
    let (method, path) = (line.next().unwrap().to_owned(), line.next().unwrap().to_owned());
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    Ok(Some(Request { method, path, headers, body: Vec::new() }))
}

type Answer = (u16, Vec<(&'static str, String)>, String);

fn problem(status: u16, detail: &str) -> Answer {
    let body = serde_json::json!({"type": "about:blank", "status": status, "detail": detail});
    (status, vec![("Content-Type", "application/problem+json".into())], body.to_string())
}

/// What is answered before the body is read.
fn refusal(request: &Request, settings: &Settings) -> Option<Answer> {
    let is_known = match (&request.method[..], &request.path[..]) {
        ("POST", path) => path == SUBMIT,
        ("GET", path) => path.starts_with("/endorsement-provisioning/v1/session/"),
        _ => false,
    };
    if !is_known {
        return Some((
            404,
            vec![("Content-Type", "text/plain".into())],
            "404 page not found".into(),
        ));
    }
    if let Some(token) = &settings.token
        && request.header("authorization") != Some(&format!("Bearer {token}"))
    {
        return Some(problem(401, "invalid token"));
    }
    if request.header("accept") != Some(SESSION) {
        return Some(problem(406, "the only supported output format is another"));
    }
    let media_type = request.header("content-type").unwrap_or_default();
    if request.method == "POST" && !settings.media_types.iter().any(|known| known == media_type) {
        let (status, mut headers, body) =
            problem(415, &format!("no active plugin found for {media_type}"));
        headers.push(("Accept", settings.media_types.join(", ")));
        return Some((status, headers, body));
    }
    None
}

fn session(status: &str, reason: Option<&str>) -> String {
    let mut session = serde_json::json!({"status": status, "expiry": "2026-11-27T12:00:00Z"});
    if let Some(reason) = reason {
        session["failure-reason"] = reason.into();
    }
    session.to_string()
}

/// The session that the request has as its answer.
fn carry_out(request: &Request, state: &Mutex<State>) -> String {
    let mut state = state.lock().unwrap();
    if request.method == "GET" {
        let number: usize = request.path.rsplit('/').next().unwrap().parse().unwrap();
        let found = &mut state.sessions[number];
        match &mut found.looks {
            None => return session("processing", None),
            Some(0) => {}
            Some(looks) => {
                *looks -= 1;
                return session("processing", None);
            }
        }
        return session(if found.fails.is_some() { "failed" } else { "success" }, found.fails);
    }
    let failed = |reason: &str| {
        let begin = "submit endorsement returned error: submit endorsements failed: ";
        session("failed", Some(&format!("{begin}{reason}")))
    };
    let Some((id, profile)) = corim(&request.body) else {
        return failed("failed CBOR decoding");
    };
    let media_type = request.header("content-type").unwrap();
    if !media_type.ends_with(&format!("; profile=\"{profile}\"")) {
        let why = format!("CoRIM profile ({profile}) does not match media type profile");
        return failed(&format!("rpc error: code = Unknown desc = {why}"));
    }
    match state.store.get(&id) {
        Some(stored) if *stored == request.body => failed("token already in store"),
        Some(_) => failed(&format!("different token with manifest ID \"{id}\" already in store")),
        None => {
            state.store.insert(id, request.body.clone());
            state.taken.push(request.body.clone());
            session("success", None)
        }
    }
}

/// The unsigned CoRIM in what was submitted.
pub fn payload(body: &[u8]) -> Option<Value> {
    match Value::from_slice(body).ok()? {
        Value::Tag(18, message) => Value::from_slice(message.as_array()?[2].as_bytes()?).ok(),
        corim => Some(corim),
    }
}

fn corim(body: &[u8]) -> Option<(String, String)> {
    let Value::Tag(501, corim) = payload(body)? else { return None };
    let child = |key: u8| {
        let entries = corim.as_map()?;
        entries.iter().find(|(found, _)| *found == key.into()).map(|(_, value)| value.clone())
    };
    let profile = match child(3)? {
        Value::Tag(32, uri) => *uri,
        text => text,
    };
    Some((child(0)?.into_text().ok()?, profile.into_text().ok()?))
}

fn reply(
    stream: &mut impl Write,
    status: u16,
    headers: &[(&'static str, String)],
    body: &[u8],
) -> io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status} Whatever\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    )?;
    for (name, value) in headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    stream.write_all(b"\r\n")?;
    stream.write_all(body)?;
    stream.flush()
}

/// The instance IDs of the first kind in what a verifier has taken, in order: each names a part.
pub fn parts(verifier: &Verifier) -> Vec<Vec<u8>> {
    let child = |value: &Value, key: i64| {
        let entries = value.as_map().unwrap();
        entries.iter().find(|(found, _)| *found == key.into()).unwrap().1.clone()
    };
    let untag = |value: Value| *value.into_tag().unwrap().1;
    let mut ids = Vec::new();
    for body in verifier.taken() {
        let corim = untag(payload(&body).unwrap());
        let comid = untag(child(&corim, 1).as_array().unwrap()[0].clone());
        let comid = Value::from_slice(comid.as_bytes().unwrap()).unwrap();
        for triple in child(&child(&comid, 4), 3).as_array().unwrap().iter().step_by(2) {
            let environment = &triple.as_array().unwrap()[0];
            ids.push(untag(child(environment, 1)).into_bytes().unwrap());
        }
    }
    ids
}
