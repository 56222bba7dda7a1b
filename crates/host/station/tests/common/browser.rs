// SPDX-License-Identifier: Apache-2.0

//! Headless Chromium, driven as a person has it: a window, a picture of it, and rules of accessibility.
#![allow(dead_code, reason = "each test is a program of its own and uses some of it")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// How long the page has for what it is to show.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Browser {
    client: Client,
    runtime: Runtime,
    driver: Child,
    _profile: TempDir,
}

/// A command that only this driver has: its path, and its parameters.
#[derive(Debug)]
struct Driver(&'static str, Value);

impl WebDriverCompatibleCommand for Driver {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.0))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.1.to_string()))
    }
}

impl Browser {
    /// Opens a browser. `cargo xtask check --only page` says what is missing where there is none.
    pub fn open() -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver: cargo xtask check --only page says what is needed");
        let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines
            .map_while(Result::ok)
            .find_map(|line| line.strip_suffix('.')?.rsplit_once("on port ")?.1.parse::<u16>().ok())
            .expect("chromedriver says its port");
        let profile = tempfile::tempdir().unwrap();
        let mut arguments: Vec<String> = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
        ]
        .map(String::from)
        .into();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let mut capabilities = Capabilities::new();
        capabilities.insert("goog:chromeOptions".into(), json!({ "args": arguments }));
        // The rules of accessibility take a while on a busy machine.
        capabilities.insert("timeouts".into(), json!({ "script": 180_000 }));
        capabilities.insert("goog:loggingPrefs".into(), json!({ "browser": "ALL" }));
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime
            .block_on(
                ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
                    .capabilities(capabilities)
                    .connect(&format!("http://127.0.0.1:{port}")),
            )
            .expect("Chromium");
        Self { client, runtime, driver, _profile: profile }
    }

    pub fn go(&self, address: &str) {
        self.runtime.block_on(self.client.goto(address)).unwrap();
    }

    /// The window's inside, in pixels of a style sheet.
    pub fn size(&self, (width, height): (u32, u32)) {
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            &json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false }),
        );
    }

    /// What the person has chosen, such as `prefers-color-scheme`, `light`.
    pub fn prefer(&self, features: &[(&str, &str)]) {
        let features: Vec<_> =
            features.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    pub fn devtools(&self, method: &str, parameters: &Value) -> Value {
        let command = Driver("goog/cdp/execute", json!({ "cmd": method, "params": parameters }));
        self.runtime.block_on(self.client.issue_cmd(command)).unwrap()
    }

    /// The value of an expression in the page.
    pub fn value(&self, expression: &str) -> Value {
        self.runtime.block_on(self.client.execute(&format!("return {expression}"), vec![])).unwrap()
    }

    pub fn text(&self, expression: &str) -> String {
        self.value(expression).as_str().unwrap_or_else(|| panic!("{expression}")).to_owned()
    }

    /// Waits until an expression is true.
    pub fn wait(&self, expression: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.value(&format!("Boolean({expression})")) != Value::Bool(true) {
            assert!(
                Instant::now() < deadline,
                "never: {expression}\n{}",
                self.text("document.body.innerText")
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn click(&self, selector: &str) {
        let click =
            async { self.client.find(fantoccini::Locator::Css(selector)).await?.click().await };
        self.runtime.block_on(click).unwrap();
    }

    /// What the browser has complained of, such as something that the page's policy forbids.
    pub fn complaints(&self) -> Vec<String> {
        let command = Driver("se/log", json!({ "type": "browser" }));
        let log = self.runtime.block_on(self.client.issue_cmd(command)).unwrap();
        // What is expected: a station that has gone, and no sound before a click.
        let expected = [
            "ERR_CONNECTION_REFUSED",
            "ERR_INCOMPLETE_CHUNKED_ENCODING",
            "AudioContext was not allowed to start",
        ];
        let is_page = |text: &&str| !expected.iter().any(|expected| text.contains(expected));
        let texts = log.as_array().unwrap().iter().filter_map(|entry| entry["message"].as_str());
        texts.filter(is_page).map(str::to_owned).collect()
    }

    /// A key, as a person presses it, on what has the focus.
    pub fn key(&self, key: &str, code: u32) {
        for kind in ["rawKeyDown", "char", "keyUp"] {
            let text = if key == "Enter" { "\r" } else { "" };
            self.devtools(
                "Input.dispatchKeyEvent",
                &json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text }),
            );
        }
    }

    /// A picture of a window of 1280 pixels. In `docs` where `STATION_PICTURES` asks for that, else in the folder for
    /// what tests leave.
    pub fn picture(&self, name: &str, height: u32) {
        let folder = match std::env::var_os("STATION_PICTURES") {
            Some(_) => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs"),
            None => PathBuf::from(env!("CARGO_TARGET_TMPDIR")),
        };
        // Three quarters: the picture is small, and can still be read.
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            &json!({ "width": 1280, "height": height, "deviceScaleFactor": 0.75, "mobile": false }),
        );
        let png = self.runtime.block_on(self.client.screenshot()).unwrap();
        assert!(png.len() < 150_000, "{name}: {} bytes", png.len());
        fs::write(folder.join(format!("station-page-{name}.png")), png).unwrap();
    }

    /// Fails with each rule of axe that the page breaks (WCAG 2.2 A and AA, and good practice).
    pub fn is_accessible(&self, what: &str) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
        let file = std::env::var_os("AXE_CORE").map_or_else(
            || root.join("target/axe/node_modules/axe-core/axe.min.js"),
            PathBuf::from,
        );
        let axe = fs::read_to_string(&file).unwrap_or_else(|error| {
            panic!("{}: {error}: cargo xtask check --only page says what is needed", file.display())
        });
        self.runtime
            .block_on(self.client.execute(&format!("{axe}; window.axe = axe"), vec![]))
            .unwrap();
        let script = "const done = arguments[0]; axe.run(document).then((found) => done(found.violations.map((rule) => \
             `${rule.id}: ${rule.help}: ${rule.nodes.slice(0, 3).map((node) => node.html.slice(0, 150) + ' ' + node.failureSummary).join(' | ')}`)))";
        let found = self.runtime.block_on(self.client.execute_async(script, vec![])).unwrap();
        let rules = self.value("axe.getRules().length");
        assert!(rules.as_u64() > Some(50), "axe has no rules");
        assert_eq!(found, json!([]), "{what}");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.runtime.block_on(self.client.clone().close());
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
