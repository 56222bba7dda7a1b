// SPDX-License-Identifier: Apache-2.0

//! A real PostgreSQL server in a folder of its own, from the programs that are installed, and hubs on it.
//!
//! `STATION_TEST_POSTGRES` may give another server, as the URL of its superuser, who needs no password there: tests that
//! do not stop their server take that one.

use std::env;
use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustix::fs::{Gid, Uid, chown};
use rustix::process::{Pid, Signal, kill_process};
use station::hub::{Config, Hub, HubError, Kind, Pushed};
use station::ledger::{Ledger, Origin};
use station::station_key::StationKey;
use tempfile::TempDir;
use tokio_postgres::config::Host;

/// The name that the server's certificate is for, beside `localhost`.
pub const HOST: &str = "localhost";

/// A server. It ends with the last test that has it.
pub struct Server {
    folder: TempDir,
    child: Mutex<Option<Child>>,
    pub port: u16,
    user: Option<(u32, u32)>,
    /// A server that was there before.
    given: Option<tokio_postgres::Config>,
}

/// What every role has for a password on a server that was given.
const SECRET: &str = "secret";

/// Where the programs of the server are: those of Debian with the highest version, or else those on the path.
pub fn programs() -> PathBuf {
    let installed = glob::glob("/usr/lib/postgresql/*/bin/initdb").unwrap().map(Result::unwrap);
    let version = |initdb: &PathBuf| {
        let folder = initdb.ancestors().nth(2)?.file_name()?.to_str()?;
        folder.parse::<u32>().ok()
    };
    let on_path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&on_path).map(|folder| folder.join("initdb"));
    let initdb =
        installed.max_by_key(version).or_else(|| on_path.into_iter().find(|path| path.exists()));
    let initdb = initdb.expect(
        "a PostgreSQL server (Debian: the package postgresql), or its programs on the PATH",
    );
    initdb.parent().unwrap().to_owned()
}

/// A server that is shared by the tests that run at the same time.
pub fn shared() -> Arc<Server> {
    static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let given = env::var("STATION_TEST_POSTGRES").ok().map(|url| Server::given(&url));
        let server = Arc::new(given.unwrap_or_else(Server::start));
        *shared = Arc::downgrade(&server);
        server
    })
}

impl Server {
    /// A server of its own, with TLS.
    pub fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), "")
    }

    /// As `start`, with its data below this folder, and more settings.
    pub fn start_in(folder: TempDir, settings: &str) -> Self {
        // initdb refuses root.
        let user = rustix::process::geteuid().is_root().then(|| {
            let passwd = fs::read_to_string("/etc/passwd").unwrap();
            let of = |name: &str| {
                let line = passwd.lines().find(|line| line.starts_with(&format!("{name}:")))?;
                let mut fields = line.split(':').skip(2).map(str::parse::<u32>);
                Some((fields.next()?.ok()?, fields.next()?.ok()?))
            };
            of("postgres").or(of("nobody")).expect("a user other than root")
        });
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Self { folder, child: Mutex::default(), port, user, given: None };
        server.own(server.path());
        let data = server.data();
        let made = server
            .command("initdb")
            .args([
                "--no-sync",
                "--auth=trust",
                "--username=postgres",
                "--encoding=UTF8",
                "--locale=C",
            ])
            .args(["--pgdata".as_ref(), data.as_os_str()])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        server.certificates();
        let folder = server.path().display();
        let config = format!(
            "port = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{folder}'\nssl = on\n\
             ssl_cert_file = '{folder}/server.pem'\nssl_key_file = '{folder}/server.key'\nfsync = on\n\
             password_encryption = 'scram-sha-256'\nlog_min_messages = warning\n{settings}\n"
        );
        let mut all = fs::read_to_string(data.join("postgresql.conf")).unwrap();
        all.push_str(&config);
        fs::write(data.join("postgresql.conf"), all).unwrap();
        // Over the socket everyone is who they say; over TCP each has a password.
        let rules = "local all all trust\nhost all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
        fs::write(data.join("pg_hba.conf"), rules).unwrap();
        server.restart();
        server
    }

    /// One that is there.
    fn given(url: &str) -> Self {
        let given: tokio_postgres::Config = url.parse().unwrap();
        let port = given.get_ports().first().copied().unwrap_or(5432);
        let folder = tempfile::tempdir().unwrap();
        Self { folder, child: Mutex::default(), port, user: None, given: Some(given) }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// The certificate of the authority that has signed the server's.
    pub fn ca(&self) -> PathBuf {
        self.path().join("ca.pem")
    }

    fn certificates(&self) {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let server = CertificateParams::new(vec![HOST.to_owned()]).unwrap();
        let server = server.signed_by(&key, &authority).unwrap();
        for (name, text) in [
            ("ca.pem", authority.pem()),
            ("server.pem", server.pem()),
            ("server.key", key.serialize_pem()),
        ] {
            let path = self.path().join(name);
            fs::write(&path, text).unwrap();
            self.own(&path);
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            fs::set_permissions(&path, mode).unwrap();
        }
    }

    /// Gives a file to the user of the server.
    pub fn own(&self, path: &Path) {
        if let Some((user, group)) = self.user {
            chown(path, Some(Uid::from_raw(user)), Some(Gid::from_raw(group))).unwrap();
        }
    }

    /// A program of the server's, as its user.
    pub fn command(&self, program: &str) -> Command {
        let program = programs().join(program);
        match self.user {
            None => Command::new(program),
            Some((user, group)) => {
                let mut command = Command::new("setpriv");
                command.args([format!("--reuid={user}"), format!("--regid={group}")]);
                command.arg("--clear-groups").arg("--").arg(program);
                command.current_dir(self.path());
                command
            }
        }
    }

    /// Starts it (again), and waits until it takes connections.
    pub fn restart(&self) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path().join("log"));
        let child = self
            .command("postgres")
            .args(["-D".as_ref(), self.data().as_os_str()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.unwrap())
            .spawn()
            .unwrap();
        *self.child.lock().unwrap() = Some(child);
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.sql("postgres", "postgres", "SELECT 1").is_err() {
            assert!(Instant::now() < deadline, "the server does not start: {}", self.log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        let mut log = String::new();
        let file = fs::File::open(self.path().join("log")).unwrap();
        std::io::BufReader::new(file).read_to_string(&mut log).unwrap();
        log
    }

    /// Runs statements as this role over the socket. Each row is a line, with `|` between its columns.
    pub fn sql(&self, role: &str, database: &str, sql: &str) -> Result<String, String> {
        let mut config = tokio_postgres::Config::new();
        match &self.given {
            None => drop(config.host_path(self.path()).port(self.port).user(role)),
            Some(given) => {
                config = given.clone();
                if role != "postgres" {
                    self.give_password(role);
                    config.user(role).password(SECRET);
                }
            }
        }
        config.dbname(database);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let work = async {
            let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
            tokio::spawn(connection);
            client.simple_query(sql).await
        };
        let messages = runtime.block_on(work).map_err(|error| match error.as_db_error() {
            Some(error) => error.message().to_owned(),
            None => error.to_string(),
        })?;
        let rows = messages.iter().filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => {
                let columns: Vec<_> = (0..row.len()).map(|n| row.get(n).unwrap_or("")).collect();
                Some(columns.join("|"))
            }
            _ => None,
        });
        Ok(rows.collect::<Vec<_>>().join("\n"))
    }

    fn give_password(&self, role: &str) {
        let sql = format!("ALTER ROLE \"{role}\" PASSWORD '{SECRET}'");
        self.sql("postgres", "postgres", &sql).unwrap();
    }

    fn pid(&self) -> Option<Pid> {
        self.child.lock().unwrap().as_ref().map(Pid::from_child)
    }

    fn wait(&self) {
        let child = self.child.lock().unwrap().take();
        child.map(|mut child| child.wait().unwrap());
    }

    /// The server and every process that it has started.
    fn processes(&self) -> Vec<Pid> {
        let Some(server) = self.pid() else { return Vec::new() };
        let children = format!("/proc/{0}/task/{0}/children", server.as_raw_nonzero());
        let children = fs::read_to_string(children).unwrap_or_default();
        let pids =
            children.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().unwrap()));
        [server].into_iter().chain(pids).collect()
    }

    /// As a loss of power of the server's machine, but for its disk: every process is gone at once.
    pub fn kill(&self) {
        for pid in self.processes() {
            let _ = kill_process(pid, Signal::KILL);
        }
        self.wait();
        let _ = fs::remove_file(self.data().join("postmaster.pid"));
    }

    /// Stops it without a shutdown of its own: what it has not written is in its log.
    pub fn stop_immediately(&self) {
        kill_process(self.pid().unwrap(), Signal::QUIT).unwrap();
        self.wait();
    }

    /// Has every process stand still, or go on.
    pub fn freeze(&self, is_frozen: bool) {
        let signal = if is_frozen { Signal::STOP } else { Signal::CONT };
        for pid in self.processes() {
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A database with a hub, and folders of stations.
pub struct TestHub {
    pub server: Arc<Server>,
    pub database: String,
    pub folder: TempDir,
}

impl TestHub {
    /// A new hub on a server that others use, too.
    pub fn new() -> Self {
        Self::on(shared())
    }

    /// A new hub on this server.
    pub fn on(server: Arc<Server>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let database = format!("hub{}_{number}", std::process::id());
        let hub = Self { server, database, folder: tempfile::tempdir().unwrap() };
        let (database, owner) = (&hub.database, hub.owner());
        let made = [
            format!("CREATE ROLE {owner} LOGIN CREATEROLE"),
            format!("CREATE DATABASE {database} OWNER {owner}"),
        ];
        for sql in made {
            hub.server.sql("postgres", "postgres", &sql).unwrap();
        }
        Hub::init(&hub.config(&owner)).unwrap();
        hub
    }

    pub fn owner(&self) -> String {
        format!("owner_{}", self.database)
    }

    /// The name of a role, which is of the whole server.
    pub fn role(&self, name: &str) -> String {
        format!("{name}.{}", self.database)
    }

    /// How a role logs in over the socket.
    pub fn config(&self, role: &str) -> Config {
        let config = Config::new(&self.url(role)).unwrap();
        if self.server.given.is_none() {
            return config;
        }
        self.server.give_password(role);
        let file = self.folder.path().join(format!("{role}.secret"));
        fs::write(&file, SECRET).unwrap();
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        config.with_password_file(file)
    }

    pub fn url(&self, role: &str) -> String {
        let host = match self.server.given.as_ref().and_then(|given| given.get_hosts().first()) {
            None => self.server.path().display().to_string(),
            Some(Host::Tcp(host)) => host.clone(),
            Some(Host::Unix(path)) => path.display().to_string(),
        };
        let (port, database) = (self.server.port, &self.database);
        format!("host={host} port={port} user={role} dbname={database}")
    }

    /// Runs statements as the server's superuser: [`Server::sql`].
    #[track_caller]
    pub fn sql(&self, sql: &str) -> String {
        self.sql_as("postgres", sql).unwrap()
    }

    /// Changes a table past its triggers, which are as before afterwards.
    pub fn tamper(&self, table: &str, sql: &str) {
        let always = self.sql(&format!(
            "SELECT string_agg(format('ALTER TABLE hub.{table} ENABLE ALWAYS TRIGGER %I', tgname), '; ') FROM pg_trigger \
             WHERE tgrelid = 'hub.{table}'::regclass AND tgenabled = 'A'"
        ));
        self.sql(&format!(
            "ALTER TABLE hub.{table} DISABLE TRIGGER ALL; {sql}; ALTER TABLE hub.{table} ENABLE TRIGGER ALL; {always}"
        ));
    }

    /// Runs statements as this role.
    pub fn sql_as(&self, role: &str, sql: &str) -> Result<String, String> {
        self.server.sql(role, &self.database, sql)
    }

    /// Waits until the server has ended what this role has asked of it: a connection that was cut off may still be at work.
    pub fn wait_until_left(&self, role: &str) {
        let sessions = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{role}'");
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.sql(&sessions) != "0" {
            assert!(Instant::now() < deadline, "{role} is still connected");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Enrolls a station that has just begun its ledger.
    pub fn station(&self, name: &str) -> TestStation {
        let (role, key) = (self.role(name), self.folder.path().join(format!("{name}.key")));
        StationKey::generate().unwrap().write(&key).unwrap();
        let path = self.folder.path().join(format!("{name}.db"));
        let ledger = begin(&path, &key);
        let kind = Kind::Station(ledger.origin().unwrap().station_key.unwrap());
        Hub::connect(&self.config(&self.owner())).unwrap().enroll(&role, kind, None).unwrap();
        TestStation { config: self.config(&role), role, key, ledger }
    }
}

impl Drop for TestHub {
    fn drop(&mut self) {
        // A server that is given stays.
        if self.server.given.is_some() {
            let (database, owner) = (&self.database, self.owner());
            let sql = |sql: &str| self.server.sql("postgres", "postgres", sql);
            let _ = sql(&format!("DROP DATABASE {database} WITH (FORCE)"));
            let roles = format!("SELECT rolname FROM pg_roles WHERE rolname LIKE '%.{database}'");
            for role in sql(&roles).unwrap_or_default().lines().chain([owner.as_str()]) {
                let _ = sql(&format!("DROP ROLE \"{role}\""));
            }
        }
    }
}

/// A station of a hub.
pub struct TestStation {
    pub role: String,
    pub config: Config,
    /// The file of its key.
    pub key: PathBuf,
    pub ledger: Ledger,
}

impl TestStation {
    /// Pushes the ledger, over a connection of its own.
    pub fn push(&self) -> Result<Pushed, HubError> {
        push(&self.config, &self.ledger)
    }

    /// The number of the last link that the hub has of the ledger.
    pub fn last(&self) -> u64 {
        Hub::connect(&self.config).unwrap().last(&self.ledger.origin().unwrap()).unwrap().number
    }

    /// The ledger in this file, in the name of this station.
    pub fn open(&self, path: &Path) -> Ledger {
        signed(Ledger::open_or_create(path).unwrap(), &self.key)
    }
}

/// Begins a ledger that is signed with this key.
pub fn begin(path: &Path, key: &Path) -> Ledger {
    let station_key = Some(StationKey::read(key).unwrap().public());
    let origin = Origin { station_key, ..Origin::default() };
    signed(Ledger::begin(path, None, &origin).unwrap(), key)
}

fn signed(mut ledger: Ledger, key: &Path) -> Ledger {
    ledger.set_signer(StationKey::read(key).unwrap(), None).unwrap();
    ledger
}

/// Pushes over a connection of its own.
pub fn push(config: &Config, ledger: &Ledger) -> Result<Pushed, HubError> {
    Hub::new(config).push(ledger, &mut |_| Ok(()), &mut |_, _| ())
}
