// SPDX-License-Identifier: Apache-2.0

//! Twister's report, and what it says of each kind of image.

use std::fmt;

use serde::Deserialize;

/// What Twister writes as `twister.json`, as far as it is read here.
#[derive(Debug, Deserialize)]
pub struct Report {
    testsuites: Vec<Suite>,
}

/// A scenario on a platform.
#[derive(Debug, Deserialize)]
pub struct Suite {
    name: String,
    platform: String,
    #[serde(default)]
    runnable: bool,
    #[serde(default)]
    status: String,
    reason: Option<String>,
}

/// How many were tried, and how many of them are good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Built, and run where that is possible, without an error.
    pub good: usize,
    /// All but those that Twister left out.
    pub all: usize,
}

/// The kinds of images in a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Images for kits: linked, and not run.
    pub kits: Count,
    /// The image on `native_sim`.
    pub native_sim: Count,
    /// The image in QEMU.
    pub qemu: Count,
    /// The comparison of the SDK's drivers with the stand-ins, on both.
    pub differential: Count,
    /// TF-M on provisioned parts, on both; and linked by the SDK.
    pub tfm: Count,
    /// The assumptions about a part, on both; and linked for kits.
    pub silicon: Count,
}

impl Suite {
    /// Its scenario, without the folder that some versions of Twister put before it.
    fn scenario(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or_default()
    }

    fn has_failed(&self) -> bool {
        matches!(&self.status[..], "failed" | "error" | "blocked")
    }

    /// Twister of Zephyr 4.1 writes "not run" where it only builds; the one before it writes "passed".
    fn is_good(&self) -> bool {
        matches!(&self.status[..], "passed" | "not run")
    }

    /// Whether Twister has not left it out.
    fn was_tried(&self) -> bool {
        self.is_good() || self.has_failed()
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = self.reason.as_deref().unwrap_or("no reason");
        write!(f, "{} on {}: {reason}", self.name, self.platform)
    }
}

impl Report {
    /// Reads `twister.json`.
    ///
    /// # Errors
    /// It is not what Twister writes.
    pub fn read(json: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(json)
    }

    /// Those that failed.
    pub fn failed(&self) -> impl Iterator<Item = &Suite> {
        self.testsuites.iter().filter(|suite| suite.has_failed())
    }

    /// Whether the scenario was built on at least one platform, or Twister tried to.
    #[must_use]
    pub fn has_tried(&self, scenario: &str) -> bool {
        self.testsuites.iter().any(|suite| suite.scenario() == scenario && suite.was_tried())
    }

    /// How many were run, and how many only built.
    #[must_use]
    pub fn ran_and_built(&self) -> (usize, usize) {
        let tried = self.testsuites.iter().filter(|suite| suite.was_tried());
        let (ran, built): (Vec<_>, Vec<_>) = tried.partition(|suite| suite.runnable);
        (ran.len(), built.len())
    }

    /// The kinds of images.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for suite in &self.testsuites {
            let name = suite.scenario();
            let count = if name.starts_with("keys.differential") {
                &mut summary.differential
            } else if name.starts_with("tfm.") {
                &mut summary.tfm
            } else if name.starts_with("silicon.") {
                &mut summary.silicon
            } else if suite.platform.starts_with("native_sim") {
                &mut summary.native_sim
            } else if suite.platform.starts_with("mps2") {
                &mut summary.qemu
            } else {
                &mut summary.kits
            };
            count.good += usize::from(suite.is_good());
            count.all += usize::from(suite.was_tried());
        }
        summary
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.all == 0 { f.pad("-") } else { f.pad(&format!("{} of {}", self.good, self.all)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let suite = |name, platform, runnable, status| {
            serde_json::json!({
                "name": name, "platform": platform, "runnable": runnable, "status": status, "reason": "why",
                "testcases": [],
            })
        };
        let suites = [
            suite("sample.tfm.provisioning_image", "nrf5340dk/nrf5340/cpuapp", false, "passed"),
            suite("sample.tfm.provisioning_image", "nrf9160dk/nrf9160", false, "not run"),
            suite("sample.tfm.provisioning_image", "nrf9161dk/nrf9161", false, "error"),
            suite("sample.tfm.provisioning_image", "frdm_k64f", false, "filtered"),
            suite("a/b/sample.x.native_sim", "native_sim/native/64", true, "passed"),
            suite("sample.x.native_sim", "native_sim", true, "failed"),
            suite("tests/keys.differential.mps2.nrf5340", "mps2/an521/cpu0", true, "passed"),
            suite("sample.x.mps2", "mps2_an521", true, "passed"),
            suite("tests/tfm.native_sim.nrf5340", "native_sim/native/64", true, "failed"),
            suite("silicon.kit", "nrf9160dk/nrf9160", false, "not run"),
        ];
        Report::read(serde_json::json!({ "testsuites": suites }).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn each_kind_is_counted() {
        let summary = report().summary();
        assert_eq!(summary.kits, Count { good: 2, all: 3 });
        assert_eq!(summary.native_sim, Count { good: 1, all: 2 });
        assert_eq!(summary.qemu, Count { good: 1, all: 1 });
        assert_eq!(summary.differential, Count { good: 1, all: 1 });
        assert_eq!(summary.tfm, Count { good: 0, all: 1 });
        assert_eq!(summary.silicon, Count { good: 1, all: 1 });
        assert_eq!(summary.kits.to_string(), "2 of 3");
        assert_eq!(Count::default().to_string(), "-");
    }

    #[test]
    fn what_was_left_out_is_told_from_what_was_tried() {
        let suite =
            |name, status| serde_json::json!({ "name": name, "platform": "", "status": status });
        let suites = [
            suite("tests/tfm/tfm.native_sim.nrf54l15", "filtered"),
            suite("tfm.native_sim.nrf5340", "filtered"),
            suite("tfm.native_sim.nrf5340", "error"),
            suite("tests/tfm/tfm.native_sim.nrf9160", "not run"),
        ];
        let json = serde_json::json!({ "testsuites": suites }).to_string();
        let report = Report::read(json.as_bytes()).unwrap();
        let tried = ["nrf54l15", "nrf5340", "nrf9160", "nrf52840"]
            .map(|part| report.has_tried(&format!("tfm.native_sim.{part}")));
        assert_eq!(tried, [false, true, true, false]);
    }

    #[test]
    fn what_failed_is_named() {
        let report = report();
        assert_eq!(report.ran_and_built(), (5, 4));
        let failed: Vec<_> = report.failed().map(ToString::to_string).collect();
        assert_eq!(
            failed,
            [
                "sample.tfm.provisioning_image on nrf9161dk/nrf9161: why",
                "sample.x.native_sim on native_sim: why",
                "tests/tfm.native_sim.nrf5340 on native_sim/native/64: why"
            ]
        );
    }
}
